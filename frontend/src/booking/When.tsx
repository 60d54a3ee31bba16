import { Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { otherZone, span } from "../format";

type Props = { starts_at: string; ends_at: string; timezone: string };

/** From when to when on the event's clocks, and on the reader's where they differ. */
export function When({ starts_at, ends_at, timezone }: Props) {
  const { t } = useTranslation();
  const own = otherZone(starts_at, timezone);
  return (
    <>
      <Text>
        <time dateTime={starts_at}>{span(starts_at, ends_at, timezone)}</time>
      </Text>
      {own && (
        <Text size="sm" c="dimmed">
          {t("yourTime", { when: span(starts_at, ends_at, own) })}
        </Text>
      )}
    </>
  );
}
