import { Alert, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { BookingRead } from "../api/generated";
import { dateTime, span } from "../format";
import { now } from "./clock";

/** What is other than it was when the booking was made, and what that means. */
export function Moved({ booking }: { booking: BookingRead }) {
  const { t } = useTranslation();
  const { event: before, current_event: after, full_refund_until: until, status } = booking;
  if (!after || status === "cancelled") return null;
  const [when, was] = [after, before].map((event) => span(event.starts_at, event.ends_at, event.timezone));
  return (
    <Alert color="yellow" title={t("booking.moved.title")}>
      <Stack gap={4}>
        {when !== was && <Text>{t("booking.moved.when", { when, before: was })}</Text>}
        {after.venue !== before.venue && (
          <Text>{t("booking.moved.where", { where: after.venue, before: before.venue })}</Text>
        )}
        {after.name !== before.name && <Text>{t("booking.moved.name", { name: after.name })}</Text>}
        {status === "confirmed" && <Text>{t("booking.moved.valid")}</Text>}
        {status === "confirmed" && until && Date.parse(until) > now() && (
          <Text fw={600}>{t("booking.moved.refund", { when: dateTime(until, after.timezone) })}</Text>
        )}
      </Stack>
    </Alert>
  );
}
