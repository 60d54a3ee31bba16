import { Card, Skeleton, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { BookingRead } from "../api/generated";
import { PageTitle } from "../layout/PageTitle";
import { Bill } from "./Bill";
import classes from "./BookingFrame.module.css";
import { Moved } from "./Moved";
import { positions } from "./prices";
import { Terms } from "./Terms";
import { When } from "./When";

const OVER: ReadonlySet<BookingRead["status"]> = new Set(["expired", "cancelled"]);

type Props = { booking: BookingRead; title: string; children: ReactNode };

/** A step of a booking with, beside it or below it, what the booking is. */
export function BookingFrame({ booking, title, children }: Props) {
  const { t } = useTranslation();
  return (
    <Stack gap="lg">
      <PageTitle document={`${title} · ${booking.event.name}`}>{title}</PageTitle>
      <div className={classes.columns}>
        <Stack gap="xl" className={classes.step}>
          <Moved booking={booking} />
          {children}
        </Stack>
        <aside aria-label={t("booking.title")}>
          <Summary booking={booking} />
        </aside>
      </div>
    </Stack>
  );
}

function Summary({ booking }: { booking: BookingRead }) {
  const { t } = useTranslation();
  const event = booking.current_event ?? booking.event;
  return (
    <Card withBorder padding="md" className={classes.summary}>
      <Stack gap="md">
        <div>
          <Title order={2} size="h4" className={classes.name}>
            {event.name}
          </Title>
          <When {...event} />
          <Text>{event.venue}</Text>
        </div>
        <Bill bill={positions(booking.tickets)} currency={booking.total.currency} />
        <Text size="sm" c="dimmed" className={classes.name}>
          {t("booking.for", booking.contact)}
          <br />
          {t("booking.number", { id: booking.id })}
        </Text>
        {booking.total.amount_minor > 0 && !OVER.has(booking.status) && (
          <details className={classes.terms}>
            <summary>{t("terms.title")}</summary>
            <Terms
              policy={booking.refund_policy}
              startsAt={decidingStart(booking)}
              timezone={event.timezone}
              currency={booking.total.currency}
              everythingUntil={booking.full_refund_until}
            />
          </details>
        )}
      </Stack>
    </Card>
  );
}

/** Of the promised and the new start the one that is better for the buyer: the later one. */
function decidingStart({ event, current_event }: BookingRead): string {
  return current_event && Date.parse(current_event.starts_at) > Date.parse(event.starts_at)
    ? current_event.starts_at
    : event.starts_at;
}

export function BookingWaiting() {
  const { t } = useTranslation();
  return (
    <Stack role="status" aria-label={t("loading")} aria-busy gap="lg">
      <Skeleton h={44} w="60%" />
      <div className={classes.columns}>
        <Skeleton h={480} />
        <Skeleton h={320} />
      </div>
    </Stack>
  );
}
