import type { RefundDetail } from "../../api/generated";
import { Amount } from "../layout/Amount";
import { Copyable } from "../layout/Copyable";
import { Facts } from "../layout/Facts";
import { Ref } from "../layout/Ref";
import { StatusBadge, words } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { useWho } from "../who";
import { why } from "./words";

export function RefundFacts({ refund }: { refund: RefundDetail }) {
  const who = useWho();
  const person = (subject: string | null | undefined) => (subject === who.subject ? "you" : subject);
  return (
    <Facts
      of={{
        Status: <StatusBadge status={refund.status} />,
        "Why not done": why(refund),
        Amount: <Amount of={refund.amount} />,
        Id: <Copyable text={refund.id} what="the refund's id" />,
        Booking: <Ref to={`/staff/bookings/${refund.booking_id}`} id={refund.booking_id} />,
        Payment: <Ref to={`/staff/payments/${refund.payment_id}`} id={refund.payment_id} />,
        Reason: words(refund.reason),
        Rule: refund.rule,
        Overrides: refund.override && "the policy, or a dispute",
        "Asked for by": person(refund.requested_by),
        "Decided by": person(refund.decided_by),
        Note: refund.note,
        Evidence: refund.evidence,
        "Paid at": refund.paid_at && <When at={refund.paid_at} />,
        Made: <When at={refund.created_at} seconds />,
        Since: <When at={refund.updated_at} seconds />,
      }}
    />
  );
}
