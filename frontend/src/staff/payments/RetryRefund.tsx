import { Text } from "@mantine/core";
import { onceOnly } from "../../api/client";
import { type RefundRead, retryPaymentRefund } from "../../api/generated";
import { money } from "../../format";
import { Action } from "../layout/Ask";
import { why } from "../refunds/words";

type Props = { paymentId: string; refund: RefundRead };

/** What a rejected payment gives back has no page among the refunds: payment sends it anew each day, and here at once. */
export function RetryRefund({ paymentId, refund }: Props) {
  if (!isPaymentsOwn(refund)) return null;
  const path = { payment_id: paymentId, refund_id: refund.id };
  return (
    <Action
      label="Retry"
      title={`Retry the refund of ${money(refund.amount)}`}
      submit="Retry"
      ask={(key) => retryPaymentRefund({ path, headers: onceOnly(key), throwOnError: true })}
    >
      <Text size="sm">
        The payment was rejected, and what was charged goes back. The provider is asked once more. It failed:{" "}
        {why({ waiting_for: null, failure: refund.failure_code })}.
      </Text>
    </Action>
  );
}

export const isPaymentsOwn = ({ status, reason }: RefundRead) => status === "failed" && reason === "review_rejected";
