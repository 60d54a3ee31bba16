import { Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { PolicySnapshot } from "../api/generated";
import { dateTime, money, percent } from "../format";
import { now } from "./clock";
import classes from "./Terms.module.css";

const HOUR_MS = 3_600_000;

/** The instant until which a cancellation counts as `hours` before the start. Hours are elapsed hours, whatever clocks do. */
export function cutOff(startsAt: string, hours: number): string {
  return new Date(Date.parse(startsAt) - hours * HOUR_MS).toISOString();
}

type Props = {
  policy: PolicySnapshot;
  /** The start that decides: of a moved event the one that is better for the buyer. */
  startsAt: string;
  timezone: string;
  currency: string;
  /** Until then everything goes back, since the event was moved. */
  everythingUntil?: string | null;
};

/** A refund policy in words, with its instants on the event's clocks. */
export function Terms({ policy, startsAt, timezone, currency, everythingUntil }: Props) {
  const { t } = useTranslation();
  const window = everythingUntil && Date.parse(everythingUntil) > now() ? everythingUntil : undefined;
  return (
    <Stack gap="xs">
      {window && <Text fw={600}>{t("terms.moved", { when: dateTime(window, timezone) })}</Text>}
      {policy.tiers.length === 0 ? (
        <Text>{t("terms.none")}</Text>
      ) : (
        <ul className={classes.tiers}>
          {policy.tiers.map((tier) => {
            const until = cutOff(startsAt, tier.hours_before);
            const words = t("terms.until", { when: dateTime(until, timezone), percent: percent(tier.percent) });
            return (
              <li key={tier.hours_before}>
                {Date.parse(until) < now() ? (
                  <>
                    <s>{words}</s> ({t("terms.isOver")})
                  </>
                ) : (
                  words
                )}
              </li>
            );
          })}
          <li>{t("terms.after")}</li>
        </ul>
      )}
      {policy.fee_minor ? (
        <Text>{t("terms.fee", { amount: money({ amount_minor: policy.fee_minor, currency }) })}</Text>
      ) : null}
      <Text>{t("terms.cancelled")}</Text>
    </Stack>
  );
}
