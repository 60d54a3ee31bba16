import { Text } from "@mantine/core";
import { type Money, money } from "../../format";

/** An amount whose figures stand under those of other rows. */
export function Amount({ of, dimmed }: { of: Money; dimmed?: boolean }) {
  return (
    <Text
      span
      inherit
      c={dimmed ? "dimmed" : undefined}
      style={{ fontVariantNumeric: "tabular-nums", whiteSpace: "nowrap" }}
    >
      {money(of)}
    </Text>
  );
}
