import { Stack, Text } from "@mantine/core";
import { type UseQueryResult, useQueries, useQuery } from "@tanstack/react-query";
import { Problem } from "../../api/client";
import type { PaymentRead, RefundSummary } from "../../api/generated";
import {
  listDeliveriesOfBookingOptions,
  listNotificationsOptions,
} from "../../api/generated/@tanstack/react-query.gen";
import { type Timeline as Told, timelineOptions } from "../coming";
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
  const booking = useQuery({ ...timelineOptions("bookings", bookingId), ...LIVE });
  const mails = useQuery({ ...listNotificationsOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const deliveries = useQuery({ ...listDeliveriesOfBookingOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const paid = useTimelines("payments", payments.data?.payments ?? []);
  const given = useTimelines("refunds", refunds.data?.items ?? []);

  const asked: Record<Service, UseQueryResult<unknown, unknown>[]> = {
    booking: [booking],
    payment: [payments, ...paid.map(({ query }) => query)],
    refund: [refunds, ...given.map(({ query }) => query)],
    mail: [mails],
    CRM: [deliveries],
  };
  const entries = merged([
    ...told("booking", bookingId, booking.data?.items ?? []),
    ...paid.flatMap(({ id, query }) => told("payment", id, query.data?.items ?? [], `/staff/payments/${id}`)),
    ...given.flatMap(({ id, query }) => told("refund", id, query.data?.items ?? [], `/staff/refunds/${id}`)),
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

function useTimelines(of: "payments" | "refunds", those: { id: string }[]) {
  const queries: UseQueryResult<Told, unknown>[] = useQueries({
    queries: those.map(({ id }) => ({ ...timelineOptions(of, id), ...LIVE })),
  });
  return those.flatMap(({ id }, index) => {
    const query = queries[index];
    return query ? [{ id, query }] : [];
  });
}
