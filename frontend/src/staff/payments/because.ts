import type { ReviewRead } from "../../api/generated";
import { money } from "../../format";
import { words } from "../layout/StatusBadge";

const doubted = (doubt: string) => `what the provider shows is not what was asked for: ${words(doubt)}`;

/** Why a payment waits for a person, a sentence for each rule that it met or each thing about it that is doubted. */
export function because({ kind, reason, detail, amount }: ReviewRead): string[] {
  const reasons = reason.split(", ");
  if (kind === "doubted") {
    return reasons.map(doubted);
  }
  const above = Number(detail.above_minor);
  const sentences: Record<string, string> = {
    amount: `it is above ${money({ ...amount, amount_minor: above })}`,
    declines_of_card: `${detail.declines_of_card} declines of this card within an hour`,
    declines_of_booking: `${detail.declines_of_booking} declines for this booking within an hour`,
    risk: detail.flagged_by_provider
      ? "the provider has flagged it"
      : `the provider's risk level is ${detail.risk_level}`,
  };
  const doubts = detail.doubts ? String(detail.doubts).split(", ") : [];
  return [...reasons.map((rule) => sentences[rule] ?? words(rule)), ...doubts.map(doubted)];
}
