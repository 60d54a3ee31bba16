import type { RefundRequest, RefundStatus } from "../../api/generated";
import { every } from "../layout/filters";

export const STATUSES = every<RefundStatus>({
  requested: 1,
  awaiting_approval: 1,
  approved: 1,
  pending: 1,
  unknown: 1,
  succeeded: 1,
  failed: 1,
  declined: 1,
  blocked_by_dispute: 1,
  settled_manually: 1,
});

/** What is promised or paid back: in all other states the amount is the booking's again. */
export const COUNTS = (status: RefundStatus) => status !== "failed" && status !== "declined";

/** Why staff refund. The first two and the event's cancellation say why the booking ended. */
export const REASONS: Record<RefundRequest["reason"], string> = {
  customer_cancelled: "The customer cancelled",
  staff_cancelled: "We cancelled for the customer",
  event_cancelled: "The event is cancelled",
  goodwill: "Goodwill",
  duplicate: "Paid twice",
  other: "Another reason",
};

/** Reasons that owe the customer everything, whatever the policy gives. */
export const WHATEVER_THE_POLICY: string[] = ["duplicate", "event_cancelled"];

const WAITS: Record<string, string> = {
  provider: "the provider is working on it",
  balance: "waits until the account at the provider is filled up",
  customer_action: "the provider waits for the customer",
  unknown: "the provider has not answered; it is asked until it does",
  dispute: "waits for the end of the dispute",
};

const FAILURES: Record<string, string> = {
  not_enough_left: "less was left of the payment than this refund",
  dispute_lost: "the customer's bank gave the money back itself",
  lost_or_stolen_card: "the card is lost or stolen",
  expired_or_canceled_card: "the card is expired or closed",
  charge_for_pending_refund_disputed: "the payment was disputed meanwhile",
  insufficient_funds: "the account at the provider is empty",
};

/** Why it is not done: what it waits for, or what it failed with. Codes that are not known here are shown as they are. */
export function why({ waiting_for, failure }: { waiting_for: string | null; failure: string | null }): string {
  if (failure) return FAILURES[failure] ?? failure.replaceAll("_", " ");
  return waiting_for ? (WAITS[waiting_for] ?? waiting_for.replaceAll("_", " ")) : "";
}
