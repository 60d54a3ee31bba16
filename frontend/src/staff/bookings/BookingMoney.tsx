import { SimpleGrid, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { Money, PaymentPage, Quote, RefundPage } from "../../api/generated";
import { Amount } from "../layout/Amount";
import { Known } from "../layout/Known";
import { Part } from "../layout/Part";
import { Rows, without } from "../layout/Rows";
import { PAYMENT_COLUMNS } from "../payments/columns";
import { REFUND_COLUMNS } from "../refunds/columns";

type Props = {
  payments: UseQueryResult<PaymentPage, unknown>;
  refunds: UseQueryResult<RefundPage, unknown>;
  quote: UseQueryResult<Quote, unknown>;
};

/** A booking's money: each figure by the service that knows it. */
export function BookingMoney({ payments, refunds, quote }: Props) {
  return (
    <Part title="Money">
      <Stack gap="sm">
        <Known query={quote} what="The sum of it" missing="Refund has not heard of this booking yet.">
          {(found) => <Figures quote={found} />}
        </Known>
        <Known query={payments} what="What payment records">
          {(found) => (
            <Rows
              label="Payments"
              rows={found.payments}
              columns={without(PAYMENT_COLUMNS, "Booking", "Captured", "Pending", "Created")}
              empty="No payment: the booking is free, or payment has not heard of it yet."
            />
          )}
        </Known>
        <Known query={refunds} what="What refund records">
          {({ items }) => (
            <Rows
              label="Refunds"
              rows={items}
              columns={without(REFUND_COLUMNS, "Booking")}
              empty="No refund. Refunds by the policy, for a cancelled event and by staff would be here."
            />
          )}
        </Known>
      </Stack>
    </Part>
  );
}

export function Figures({ quote }: { quote: Quote }) {
  const figures: [string, Money][] = [
    ["Paid", quote.paid],
    ["Refunded", quote.refunded],
    ["Pending", quote.pending],
    ["Remaining", quote.remaining],
  ];
  return (
    <SimpleGrid cols={{ base: 2, xs: 4 }} spacing="xs" component="dl" m={0}>
      {figures.map(([name, amount]) => (
        <div key={name}>
          <Text component="dt" size="xs" c="dimmed">
            {name}
          </Text>
          <Text component="dd" m={0} fw={600}>
            <Amount of={amount} />
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}
