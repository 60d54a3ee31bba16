import { Card, Group, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { BookingRead, RefundStep } from "../api/generated";
import { date, dateTime, money } from "../format";
import { Outage } from "../layout/Loaded";
import { Section } from "../layout/Section";
import classes from "./Money.module.css";
import { PayoutForm } from "./PayoutForm";
import { moneyQuery, type Opened } from "./queries";

/** Where a booking's money is: what was paid, and each refund with where it stands and when a bank shows it. */
export function Money({ booking, opened }: { booking: BookingRead; opened: Opened }) {
  const { t } = useTranslation();
  const status = useQuery(moneyQuery(opened, booking.revision));
  return (
    <Section title={t("money.title")}>
      {status.data ? (
        <>
          <dl className={classes.sums}>
            <dt>{t("money.paid")}</dt>
            <dd>{money(status.data.paid)}</dd>
            <dt>{t("money.refunded")}</dt>
            <dd>{money(status.data.refunded)}</dd>
            {status.data.pending.amount_minor > 0 && (
              <>
                <dt>{t("money.pending")}</dt>
                <dd>{money(status.data.pending)}</dd>
              </>
            )}
          </dl>
          {status.data.refunds.length > 0 && (
            <Stack component="ol" className={classes.refunds}>
              {status.data.refunds.map((refund) => (
                <Refund key={refund.id} refund={refund} timezone={status.data.timezone} opened={opened} />
              ))}
            </Stack>
          )}
        </>
      ) : (
        <Skeleton h={120} />
      )}
      <Outage why={status.failureReason} />
    </Section>
  );
}

type RefundProps = { refund: RefundStep; timezone: string; opened: Opened };

function Refund({ refund, timezone, opened }: RefundProps) {
  const { t } = useTranslation();
  return (
    <Card component="li" withBorder padding="md">
      <Group justify="space-between" align="baseline" gap="xs">
        {refund.amount.amount_minor > 0 && <Text fw={650}>{money(refund.amount)}</Text>}
        <Text size="sm" c="dimmed">
          {t("money.since", { when: dateTime(refund.since, timezone) })}
        </Text>
      </Group>
      <Text>{t(`money.states.${stateOf(refund)}`)}</Text>
      {refund.expected_from && refund.expected_until && (
        <Text size="sm" c="dimmed">
          {t("money.expected", { from: date(refund.expected_from), until: date(refund.expected_until) })}
        </Text>
      )}
      {refund.can_choose_payout && <PayoutForm refund={refund} opened={opened} />}
    </Card>
  );
}

function stateOf({ status, can_choose_payout }: RefundStep) {
  switch (status) {
    case "failed":
      return can_choose_payout ? "failed" : "failedOther";
    case "requested":
    case "pending":
      return "working";
    default:
      return status;
  }
}
