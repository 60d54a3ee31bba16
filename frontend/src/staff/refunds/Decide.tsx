import { Text } from "@mantine/core";
import { onceOnly } from "../../api/client";
import { approveRefund, declineRefund, type RefundDetail } from "../../api/generated";
import { money } from "../../format";
import { Action } from "../layout/Ask";
import { useMay, useWho } from "../who";
import { RefundFacts } from "./RefundFacts";

/** A second person decides on a refund above the limit; whoever asked for it is told that they cannot. */
export function Decide({ refund }: { refund: RefundDetail }) {
  const who = useWho();
  const may = useMay(refund.override ? "manager" : "refunder");
  if (refund.status !== "awaiting_approval") return null;
  if (refund.requested_by === who.subject) {
    return (
      <Text span size="sm" c="dimmed">
        You asked for it yourself: another person decides.
      </Text>
    );
  }
  if (!may) {
    return refund.override ? (
      <Text span size="sm" c="dimmed">
        It overrides the policy: a manager decides.
      </Text>
    ) : null;
  }
  const what = { path: { refund_id: refund.id }, throwOnError: true } as const;
  const amount = money(refund.amount);
  return (
    <>
      <Action
        label="Approve"
        title={`Approve the refund of ${amount}`}
        submit="Approve"
        ask={(key) => approveRefund({ ...what, headers: onceOnly(key) })}
      >
        <Text size="sm">It goes to the payment provider at once.</Text>
        <RefundFacts refund={refund} />
      </Action>
      <Action
        label="Decline"
        title={`Decline the refund of ${amount}`}
        submit="Decline"
        color="red"
        ask={(key) => declineRefund({ ...what, headers: onceOnly(key) })}
      >
        <Text size="sm">The amount is the booking's again. The customer has not heard of it and will not.</Text>
        <RefundFacts refund={refund} />
      </Action>
    </>
  );
}
