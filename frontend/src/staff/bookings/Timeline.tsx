import { Stack, Text } from "@mantine/core";
import { type UseQueryResult, useQueries, useQuery } from "@tanstack/react-query";
import { Problem } from "../../api/client";
import type { PaymentRead, RefundSummary } from "../../api/generated";
import {
  listDeliveriesOfBookingOptions,
  listNotificationsOptions,
  readPaymentTimelineOptions,
  readRefundTimelineOptions,
  readTimelineOptions,
} from "../../api/generated/@tanstack/react-query.gen";
import { Entries } from "../layout/Entries";
import { Away } from "../layout/Known";
import { LIVE } from "../layout/live";
import { delivered, mailed, merged, SERVICES, type Service, told } from "../layout/timeline";

type Props = {
  bookingId: string;
  payments: UseQueryResult<{ payments: PaymentRead[] }, unknown>;
  refunds: UseQueryResult<{ items: RefundSummary[] }, unknown>;
};

/** All that happened to a booking, in whichever service. One that is away leaves a note in place of its entries. */
export function Timeline({ bookingId, payments, refunds }: Props) {
  const booking = useQuery({ ...readTimelineOptions({ path: { booking_id: bookingId } }), ...LIVE });
  const mails = useQuery({ ...listNotificationsOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const deliveries = useQuery({ ...listDeliveriesOfBookingOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const paymentIds = (payments.data?.payments ?? []).map(({ id }) => id);
  const refundIds = (refunds.data?.items ?? []).map(({ id }) => id);
  const paid = useQueries({
    queries: paymentIds.map((id) => ({ ...readPaymentTimelineOptions({ path: { payment_id: id } }), ...LIVE })),
  });
  const given = useQueries({
    queries: refundIds.map((id) => ({ ...readRefundTimelineOptions({ path: { refund_id: id } }), ...LIVE })),
  });

  const asked: Record<Service, UseQueryResult<unknown, unknown>[]> = {
    booking: [booking],
    payment: [payments, ...paid],
    refund: [refunds, ...given],
    mail: [mails],
    CRM: [deliveries],
  };
  const entries = merged([
    ...told("booking", bookingId, booking.data?.items),
    ...paymentIds.flatMap((id, index) => told("payment", id, paid[index]?.data?.items, `/staff/payments/${id}`)),
    ...refundIds.flatMap((id, index) => told("refund", id, given[index]?.data?.items, `/staff/refunds/${id}`)),
    ...(mails.data?.items ?? []).map(mailed),
    ...(deliveries.data?.items ?? []).map(delivered),
  ]);
  const loading = Object.values(asked)
    .flat()
    .some(({ isLoading, failureReason }) => isLoading && !failureReason);
  return (
    <Stack gap="xs" aria-busy={loading}>
      {SERVICES.filter((service) => asked[service].some(isAway)).map((service) => (
        <Away key={service}>
          {`${entries.some((entry) => entry.service === service) ? "What is new" : "What happened"} in ${service}`}
        </Away>
      ))}
      <Entries of={entries} />
      {loading && (
        <Text size="sm" c="dimmed" role="status">
          Loading
        </Text>
      )}
    </Stack>
  );
}

/** What a service does not know yet is no outage. */
const isAway = ({ failureReason: why }: UseQueryResult<unknown, unknown>) =>
  why != null && !(why instanceof Problem && why.status === 404);
