import { Text, Textarea, TextInput } from "@mantine/core";
import { onceOnly, Problem } from "../../api/client";
import { type RefundDetail, retryRefund, settleRefund } from "../../api/generated";
import { money } from "../../format";
import { Action } from "../layout/Ask";
import { useMay } from "../who";
import { Payout } from "./Payout";
import { why } from "./words";

/** What can be done about a refund that did not arrive: the same once more, or the money another way. */
export function Repair({ refund }: { refund: RefundDetail }) {
  const mayRetry = useMay("refunder") && refund.status === "failed" && refund.ground !== "outside";
  const maySettle = useMay("manager") && (refund.status === "failed" || refund.status === "blocked_by_dispute");
  return (
    <>
      {mayRetry && (
        <Action
          label="Retry"
          title={`Retry the refund of ${money(refund.amount)}`}
          submit="Retry"
          ask={(key) => retryRefund({ path: { refund_id: refund.id }, headers: onceOnly(key), throwOnError: true })}
        >
          <Text size="sm">The same refund is asked of the payment provider once more. It failed: {why(refund)}.</Text>
          <Payout of={refund} />
        </Action>
      )}
      {maySettle && (
        <Action
          label="Settle manually"
          title={`Settle the refund of ${money(refund.amount)}`}
          submit="It is paid"
          ask={(key, fields) => settle(refund.id, key, fields)}
        >
          <Text size="sm">
            Pay the customer first, such as by a bank transfer; then say here what shows it. The customer gets a mail.
          </Text>
          <Payout of={refund} />
          <Textarea
            size="xs"
            name="evidence"
            label="Evidence"
            description="What shows it, such as the reference of the transfer. Kept sealed."
            required
            maxLength={1000}
            autosize
            minRows={2}
          />
          <TextInput size="xs" name="paid_at" type="datetime-local" label="Paid at" required defaultValue={now()} />
        </Action>
      )}
    </>
  );
}

async function settle(refundId: string, key: string, fields: FormData) {
  const paidAt = new Date(String(fields.get("paid_at")));
  if (Number.isNaN(paidAt.getTime())) throw new Problem(422, "Say when it was paid.");
  return settleRefund({
    path: { refund_id: refundId },
    body: { evidence: String(fields.get("evidence")), paid_at: paidAt.toISOString() },
    headers: onceOnly(key),
    throwOnError: true,
  });
}

/** This minute on the reader's clocks, as the field takes it. */
function now(): string {
  const at = new Date();
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
