import { Paper, Text } from "@mantine/core";
import type { RefundDetail } from "../../api/generated";
import { Copyable } from "../layout/Copyable";
import { Facts } from "../layout/Facts";

/** The other way in which the customer wants the money, as far as the reader may see it. */
export function Payout({ of }: { of: RefundDetail }) {
  const details = of.payout_details;
  if (!details) {
    return of.has_payout_details ? (
      <Text size="sm">The customer has said another way; those who may refund see it.</Text>
    ) : (
      <Text size="sm" c="dimmed">
        The customer has not said another way.
      </Text>
    );
  }
  return (
    <Paper withBorder p="xs" component="section" aria-label="The way that the customer chose">
      <Text size="sm" fw={600}>
        The customer wants it here
      </Text>
      <Facts
        of={{
          Holder: <Copyable text={details.account_holder} what="the holder" />,
          IBAN: details.iban && <Copyable text={details.iban} what="the IBAN" />,
          "Another way": details.other_way,
        }}
      />
    </Paper>
  );
}
