import { Card, Skeleton, Stack, Text } from "@mantine/core";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import type { BookingRead } from "../api/generated";
import { dateTime } from "../format";
import classes from "./Tickets.module.css";

const TicketCode = lazy(() => import("./TicketCode"));

/** Each ticket with the code that admits its bearer, as a picture and as text. */
export function Tickets({ booking }: { booking: BookingRead }) {
  const { t } = useTranslation();
  const { tickets, event } = booking;
  return (
    <Stack component="ul" className={classes.tickets}>
      {tickets.map(({ id, name, code, cancelled_at }, index) => (
        <Card component="li" key={id} withBorder padding="md" className={classes.ticket}>
          <div className={classes.what}>
            <Text fw={650}>{name}</Text>
            <Text size="sm" c="dimmed">
              {t("confirmed.ticket", { number: index + 1, count: tickets.length })}
            </Text>
            {cancelled_at && (
              <Text size="sm">{t("confirmed.given", { when: dateTime(cancelled_at, event.timezone) })}</Text>
            )}
            {code && <code className={classes.code}>{code}</code>}
          </div>
          {code && (
            <Suspense fallback={<Skeleton className={classes.picture} />}>
              <TicketCode code={code} label={t("confirmed.code", { name })} className={classes.picture} />
            </Suspense>
          )}
        </Card>
      ))}
    </Stack>
  );
}
