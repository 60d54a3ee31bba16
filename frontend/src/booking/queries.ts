import { useDocumentVisibility } from "@mantine/hooks";
import { queryOptions, type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Problem } from "../api/client";
import {
  type BookingRead,
  type EventRead,
  type PaymentDetail,
  type PaymentStarted,
  quoteCancellation,
  readBooking,
  readEvent,
  readPayment,
  readStatus,
  startPayment,
} from "../api/generated";
import { keepToken } from "./access";
import { settled } from "./steps";
import { follow } from "./stream";

/** A booking and the token that opens it. */
export type Opened = { bookingId: string; token: string };

/** Not ready rather than refused: a passing outage, or news that is still on its way between the services. */
const worthAsking = (_: number, error: unknown) =>
  error instanceof Problem && (error.passing || (error.status === 409 && error.retryAfterS !== undefined));

/** A request with an Idempotency-Key is repeated a few times before its person is asked whether to go on. */
export const worthTrying = (failures: number, error: unknown) => failures < 3 && worthAsking(failures, error);

/** An event as it is on sale. Others are buying meanwhile. */
export const eventQuery = (eventId: string) =>
  queryOptions({
    queryKey: ["event", eventId],
    queryFn: async ({ signal }): Promise<EventRead> => {
      const { data } = await readEvent({ path: { event_id: eventId }, signal, throwOnError: true });
      return data;
    },
    refetchInterval: 30_000,
  });

export const bookingQuery = ({ bookingId, token }: Opened) =>
  queryOptions({
    queryKey: ["booking", bookingId],
    queryFn: async ({ signal }): Promise<BookingRead> => {
      const { data } = await readBooking({ path: { booking_id: bookingId }, auth: token, signal, throwOnError: true });
      keepToken(bookingId, token);
      return data;
    },
    // What the stream told is not undone by an answer that was under way.
    structuralSharing: (before, after) =>
      ((before as BookingRead | undefined)?.revision ?? 0) > (after as BookingRead).revision ? before : after,
  });

/** The booking as it is now: it follows the server's stream while something is awaited and somebody looks. */
export function useBooking(opened: Opened): UseQueryResult<BookingRead> {
  const { bookingId, token } = opened;
  const cache = useQueryClient();
  // Once nothing is awaited the stream has ended; what staff do later is worth a look now and then.
  const query = useQuery({ ...bookingQuery(opened), refetchInterval: 60_000 });
  const looking = useDocumentVisibility() === "visible"; // a browser has six connections to a server, and tabs are many
  const awaited = query.data !== undefined && !settled(query.data);
  useEffect(() => {
    if (!awaited || !looking) return;
    const { queryKey } = bookingQuery({ bookingId, token });
    return follow(`/api/bookings/${bookingId}/stream`, token, {
      told: (data) => cache.setQueryData(queryKey, JSON.parse(data) as BookingRead),
      missed: () => void cache.invalidateQueries({ queryKey }),
    });
  }, [cache, bookingId, token, awaited, looking]);
  return query;
}

/** Opens the payment, or shows the one that is open. Each look makes payment ask the provider. */
export const paymentQuery = ({ bookingId, token }: Opened) =>
  queryOptions({
    queryKey: ["booking", bookingId, "payment"],
    queryFn: async ({ signal }): Promise<PaymentStarted> => {
      const { data } = await startPayment({ body: { booking_id: bookingId }, auth: token, signal, throwOnError: true });
      return data;
    },
    retry: worthAsking,
    refetchInterval: ({ state }) => (state.data?.payment.status === "unknown" ? 3_000 : false),
  });

/** How the payment of a booking that is over ended. */
export const endedPaymentQuery = ({ token }: Opened, paymentId: string) =>
  queryOptions({
    queryKey: ["payment", paymentId],
    queryFn: async ({ signal }): Promise<PaymentDetail> => {
      const { data } = await readPayment({ path: { payment_id: paymentId }, auth: token, signal, throwOnError: true });
      return data;
    },
    refetchInterval: ({ state }) => (AT_REST.has(state.data?.status ?? "") ? false : 3_000),
  });

const AT_REST = new Set(["succeeded", "voided", "failed", "in_review"]);

/** What a cancellation would give now; all tickets where `ticketIds` is undefined. Asked anew since the clock decides. */
export const quoteQuery = ({ bookingId, token }: Opened, ticketIds: string[] | undefined, revision: number) =>
  queryOptions({
    queryKey: ["booking", bookingId, "quote", ticketIds, revision],
    queryFn: async ({ signal }) => {
      const query = { booking_id: bookingId, ...(ticketIds && { line_ids: ticketIds }) };
      const { data } = await quoteCancellation({ query, auth: token, signal, throwOnError: true });
      return data;
    },
    retry: worthAsking,
    staleTime: 10_000,
    refetchInterval: 30_000,
  });

/** Where the money is. Asked anew while some is on its way. */
export const moneyQuery = ({ bookingId, token }: Opened, revision: number) =>
  queryOptions({
    queryKey: ["booking", bookingId, "money", revision],
    queryFn: async ({ signal }) => {
      const { data } = await readStatus({ query: { booking_id: bookingId }, auth: token, signal, throwOnError: true });
      return data;
    },
    placeholderData: (before) => before,
    refetchInterval: ({ state }) => (state.data?.pending.amount_minor || !state.data ? 5_000 : false),
  });
