import type { PaymentRead } from "../../api/generated";
import { Amount } from "../layout/Amount";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";

const part = (minor: keyof PaymentRead & `${string}_minor`) => (payment: PaymentRead) =>
  payment[minor] > 0 && <Amount of={{ ...payment.amount, amount_minor: payment[minor] }} />;

export const PAYMENT_COLUMNS: Column<PaymentRead>[] = [
  { head: "Payment", cell: ({ id }) => <Ref to={`/staff/payments/${id}`} id={id} /> },
  { head: "Booking", cell: ({ booking_id }) => <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} /> },
  { head: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
  { head: "Amount", cell: ({ amount }) => <Amount of={amount} />, numeric: true },
  { head: "Captured", cell: part("captured_minor"), numeric: true, wide: true },
  { head: "Refunded", cell: part("refunded_minor"), numeric: true, wide: true },
  { head: "Pending", cell: part("refund_pending_minor"), numeric: true, wide: true },
  { head: "Method", cell: ({ method }) => methodOf(method), wide: true },
  { head: "Created", cell: ({ created_at }) => <When at={created_at} />, wide: true },
];

/** "visa ending in 4242", or the kind of another method. */
export function methodOf(method: PaymentRead["method"]): string {
  if (!method) return "";
  const kind = method.brand ?? method.kind;
  return method.last4 ? `${kind}\u00a0…${method.last4}` : kind;
}
