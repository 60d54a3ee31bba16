import type { BookingRead } from "../api/generated";

/** What a booking's page shows. Derived from what the services say, never from the way on which somebody came. */
export type Step =
  | "pay"
  | "checking" // the payment is not known yet
  | "processing"
  | "in_review"
  | "time_over" // the hold is over, and booking is about to say so
  | "expired"
  | "declined" // too many declines ended it
  | "rejected" // it ended although its buyer had tries left: a person or the provider refused it
  | "seats_gone"
  | "confirmed"
  | "cancelled";

/**
 * What is known of the payment: its status, `rejected` of a failed one that had tries left, `closed` where it can neither be paid nor shown,
 * `absent` while nobody has said anything.
 */
export type PaymentState = string | "rejected" | "closed" | "absent";

const COMING = new Set(["processing", "authorized", "capturing", "succeeded"]);

export function stepOf(
  booking: Pick<BookingRead, "status" | "payment_id">,
  payment: PaymentState,
  over: boolean,
): Step {
  switch (booking.status) {
    case "confirmed":
    case "cancelled":
      return booking.status;
    case "payment_authorized":
      return "processing";
    case "expired":
      // Money that comes after the hold is asked about: the seats may still be free.
      if (COMING.has(payment)) return payment === "succeeded" ? "seats_gone" : "processing";
      if (payment === "in_review") return "in_review";
      if (payment === "failed") return "declined";
      if (payment === "rejected") return payment;
      return payment === "voided" && booking.payment_id ? "seats_gone" : "expired";
    case "pending_payment":
      if (COMING.has(payment)) return "processing";
      if (payment === "in_review") return "in_review";
      if (payment === "unknown") return "checking";
      return over || payment === "closed" || payment === "voided" || payment === "failed" ? "time_over" : "pay";
  }
}

/** Whether nothing more is awaited: as booking's stream decides it. */
export function settled({ status, refund_state }: Pick<BookingRead, "status" | "refund_state">): boolean {
  return (status === "confirmed" || status === "cancelled") && refund_state !== "pending";
}
