import type { en } from "../i18n/en";

/** What can be said to a buyer whose payment was refused. */
export type Advice = keyof (typeof en)["pay"]["declined"];

/** By code or decline code: https://docs.stripe.com/declines/codes. What hints at fraud or theft is told like any other decline. */
const ADVICE: Record<string, Advice> = {
  insufficient_funds: "funds",
  withdrawal_count_limit_exceeded: "limit",
  card_velocity_exceeded: "limit",
  expired_card: "expired",
  invalid_expiry_month: "expired",
  invalid_expiry_year: "expired",
  incorrect_cvc: "cvc",
  invalid_cvc: "cvc",
  incorrect_number: "number",
  invalid_number: "number",
  invalid_account: "number",
  card_not_supported: "unsupported",
  currency_not_supported: "unsupported",
  transaction_not_allowed: "unsupported",
  test_mode_live_card: "sandbox",
  testmode_decline: "sandbox",
  live_mode_test_card: "sandbox",
  processing_error: "again",
  try_again_later: "again",
  reenter_transaction: "again",
  issuer_not_available: "again",
  approve_with_id: "again",
  authentication_required: "authentication",
  payment_intent_authentication_failure: "authentication",
  offline_pin_required: "authentication",
};

export type Refusal = { type?: string; code?: string | null; decline_code?: string | null };

export function adviceFor({ type, code, decline_code }: Refusal): Advice {
  if (type === "api_connection_error") return "connection";
  return ADVICE[decline_code ?? ""] ?? ADVICE[code ?? ""] ?? "other";
}
