import { Alert, Button, Group, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { onceOnly } from "../api/client";
import { type BookingRead, cancelBooking } from "../api/generated";
import { configQuery } from "../config";
import { Section } from "../layout/Section";
import { useKey } from "./ask";
import { BookingFrame } from "./BookingFrame";
import { Countdown } from "./Countdown";
import { FormWaiting } from "./FormWaiting";
import classes from "./PayStep.module.css";
import type { PaymentView } from "./payment";
import { bookingQuery, type Opened, worthTrying } from "./queries";

const PaymentForm = lazy(() => import("./PaymentForm"));

type Props = { booking: BookingRead; opened: Opened; payment: PaymentView };

/** The time that is left, the form of the payment provider, and a way out. */
export function PayStep({ booking, opened, payment }: Props) {
  const { t } = useTranslation();
  const config = useQuery(configQuery);
  const { started } = payment;
  return (
    <BookingFrame booking={booking} title={t("pay.title")}>
      {booking.hold_expires_at && <Countdown until={booking.hold_expires_at} />}
      <Section title={t("pay.form")}>
        <div className={classes.form}>
          {started?.client_secret && config.data ? (
            <Suspense fallback={<FormWaiting />}>
              <PaymentForm
                key={started.client_secret}
                booking={booking}
                payment={started.payment}
                secret={started.client_secret}
                publishableKey={started.publishable_key}
                script={config.data.stripe_js}
                sync={payment.sync}
              />
            </Suspense>
          ) : payment.why != null || config.failureReason != null ? (
            <Alert color="yellow" role="alert">
              {t("pay.away")}
            </Alert>
          ) : (
            <FormWaiting />
          )}
        </div>
        <Text size="sm" c="dimmed">
          {t("pay.provider")}
        </Text>
      </Section>
      <GiveUp opened={opened} />
    </BookingFrame>
  );
}

function GiveUp({ opened }: { opened: Opened }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const keyOf = useKey();
  const { queryKey } = bookingQuery(opened);
  const giving = useMutation({
    mutationFn: async () => {
      const path = { booking_id: opened.bookingId };
      const headers = onceOnly(keyOf("all"));
      const { data } = await cancelBooking({ path, auth: opened.token, headers, throwOnError: true });
      return data;
    },
    retry: worthTrying,
    onSuccess: (read) => cache.setQueryData(queryKey, read),
    onError: () => void cache.invalidateQueries({ queryKey, exact: true }),
  });
  return (
    <Group>
      <Button variant="subtle" color="gray" loading={giving.isPending} onClick={() => giving.mutate()}>
        {t("pay.giveUp")}
      </Button>
      {giving.error != null && (
        <Text size="sm" role="alert">
          {t("cancel.failed")}
        </Text>
      )}
    </Group>
  );
}
