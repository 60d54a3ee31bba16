import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { Problem } from "../api/client";
import { type BookingRead, type PaymentDetail, type PaymentStarted, syncPayment } from "../api/generated";
import { now } from "./clock";
import { endedPaymentQuery, type Opened, paymentQuery } from "./queries";
import type { PaymentState } from "./steps";

export type PaymentView = {
  state: PaymentState;
  /** What the payment form needs, once it is there. */
  started: PaymentStarted | undefined;
  /** Why it is not. */
  why: unknown;
  /** The time to pay is over by the server's clock. */
  over: boolean;
  /** Something has happened in the browser: have payment ask the provider. */
  sync: () => Promise<void>;
};

/** What is known of a booking's payment while it matters, asked anew as the booking moves on. */
export function usePayment(opened: Opened, booking: BookingRead, returned: boolean): PaymentView {
  const cache = useQueryClient();
  const { bookingId, token } = opened;
  const ended = booking.status === "expired" && booking.payment_id ? booking.payment_id : undefined;
  const open = useQuery({
    ...paymentQuery(opened),
    enabled: booking.status === "pending_payment" || (booking.status === "expired" && !ended),
  });
  const past = useQuery({ ...endedPaymentQuery(opened, ended ?? ""), enabled: ended !== undefined });
  const paymentId = open.data?.payment.id;

  const sync = useCallback(async () => {
    const { queryKey } = paymentQuery({ bookingId, token });
    if (!paymentId) return cache.invalidateQueries({ queryKey });
    try {
      const { data } = await syncPayment({ path: { payment_id: paymentId }, auth: token, throwOnError: true });
      cache.setQueryData(queryKey, (before) => before && { ...before, payment: data });
    } catch {
      await cache.invalidateQueries({ queryKey }); // which goes on asking
    }
  }, [cache, bookingId, token, paymentId]);

  useEffect(() => {
    if (returned && paymentId) void sync();
  }, [returned, paymentId, sync]);

  const over = useOver(booking.hold_expires_at);
  return { state: stateOf(ended ? past : open, ended), started: open.data, why: open.failureReason, over, sync };
}

type Look = { data?: PaymentStarted | PaymentDetail | undefined; error: unknown };

function stateOf({ data, error }: Look, ended: string | undefined): PaymentState {
  if (!ended && error instanceof Problem && error.status === 409) {
    const { state } = error.facts;
    return state === "voided" || state === "failed" ? state : "closed";
  }
  if (!data) return "absent";
  if ("payment" in data) return data.payment.status;
  return data.status === "failed" && data.attempts_left > 0 ? "rejected" : data.status;
}

/** Whether an instant of the server has passed; told when it does. */
function useOver(instant: string | null): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (!instant) return setOver(false);
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      const left = Date.parse(instant) - now();
      setOver(left <= 0);
      if (left > 0) timer = setTimeout(look, Math.min(left + 50, 30_000)); // the clock may have been corrected meanwhile
    };
    look();
    return () => clearTimeout(timer);
  }, [instant]);
  return over;
}
