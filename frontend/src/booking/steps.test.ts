import { expect, test } from "vitest";
import { settled, stepOf } from "./steps";

const HELD = { status: "pending_payment", payment_id: null } as const;
const EXPIRED = { status: "expired", payment_id: null } as const;
const REFUSED = { status: "expired", payment_id: "1" } as const;

test.each([
  [HELD, "absent", false, "pay"],
  [HELD, "requires_payment_method", false, "pay"],
  [HELD, "requires_action", false, "pay"],
  [HELD, "requires_payment_method", true, "time_over"],
  [HELD, "closed", false, "time_over"],
  [HELD, "failed", false, "time_over"],
  [HELD, "unknown", true, "checking"],
  [HELD, "authorized", true, "processing"],
  [HELD, "in_review", false, "in_review"],
  [{ status: "payment_authorized", payment_id: "1" }, "absent", true, "processing"],
  [EXPIRED, "requires_payment_method", true, "expired"],
  [EXPIRED, "voided", true, "expired"],
  [EXPIRED, "authorized", true, "processing"], // late, and the seats may still be free
  [EXPIRED, "failed", false, "declined"],
  [REFUSED, "failed", false, "declined"],
  [REFUSED, "rejected", true, "rejected"],
  [REFUSED, "authorized", true, "processing"],
  [REFUSED, "voided", true, "seats_gone"],
  [REFUSED, "succeeded", true, "seats_gone"],
  [{ status: "confirmed", payment_id: "1" }, "absent", true, "confirmed"],
  [{ status: "cancelled", payment_id: "1" }, "authorized", false, "cancelled"],
] as const)("a booking %o with a payment %s, time over: %s, shows %s", (booking, payment, over, step) => {
  expect(stepOf(booking, payment, over)).toBe(step);
});

test("a booking is followed until it is confirmed or cancelled and no refund is awaited", () => {
  expect(settled({ status: "expired", refund_state: "none" })).toBe(false);
  expect(settled({ status: "cancelled", refund_state: "pending" })).toBe(false);
  expect(settled({ status: "confirmed", refund_state: "none" })).toBe(true);
});
