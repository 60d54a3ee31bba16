import { Anchor, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { BookingRead } from "../api/generated";
import { dateTime } from "../format";
import { BookingFrame } from "./BookingFrame";
import { Money } from "./Money";
import type { Opened } from "./queries";

/** A booking that is over because somebody cancelled it, and what becomes of its money. */
export function CancelledStep({ booking, opened }: { booking: BookingRead; opened: Opened }) {
  const { t } = useTranslation();
  const { cancelled_by: by, cancelled_at: at, confirmed_at, total, refund_state, event } = booking;
  const when = at ? dateTime(at, event.timezone) : "";
  const paid = total.amount_minor > 0 && (confirmed_at !== null || refund_state !== "none");
  return (
    <BookingFrame booking={booking} title={t(by === "event" ? "cancelled.event" : "cancelled.title")}>
      <Stack>
        {by === "event" && <Text>{paid ? t("cancelled.eventText") : t("booking.notCharged")}</Text>}
        {by === "customer" && <Text>{t("cancelled.customer", { when })}</Text>}
        {by === "staff" && <Text>{t("cancelled.staff", { when })}</Text>}
        {by !== "event" && !paid && total.amount_minor > 0 && <Text>{t("booking.notCharged")}</Text>}
        {paid && refund_state === "none" && <Text>{t("cancelled.nothing")}</Text>}
        {paid && <Money booking={booking} opened={opened} />}
        {confirmed_at !== null && (
          <Anchor component={Link} to={`/bookings/${booking.id}/receipt`}>
            {t("confirmed.receipt")}
          </Anchor>
        )}
        <Anchor component={Link} to="/">
          {t("cancelled.other")}
        </Anchor>
      </Stack>
    </BookingFrame>
  );
}
