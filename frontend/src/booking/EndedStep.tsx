import { Button, Group, Loader, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { BookingRead } from "../api/generated";
import { BookingFrame } from "./BookingFrame";
import { keepDraft } from "./draft";

type Props = {
  booking: BookingRead;
  step: "time_over" | "expired" | "declined" | "rejected" | "seats_gone";
  /** Money did come, and goes back. */
  refunding: boolean;
};

/** A booking that came to nothing: why, that it costs nothing, and the way to another. */
export function EndedStep({ booking, step, refunding }: Props) {
  const { t } = useTranslation();
  const [title, text] = {
    time_over: [t("ended.timeOver"), t("ended.timeOverText")],
    expired: [t("ended.expired"), t("ended.expiredText")],
    declined: [t("ended.declined"), t("ended.declinedText")],
    rejected: [t("ended.rejected"), t("ended.rejectedText")],
    seats_gone: [t("ended.seatsGone"), t(refunding ? "ended.seatsGonePaid" : "ended.seatsGoneText")],
  }[step] as [string, string];
  return (
    <BookingFrame booking={booking} title={title}>
      <Stack mih={200}>
        <Group wrap="nowrap" align="flex-start">
          {step === "time_over" && <Loader size="sm" mt={2} aria-hidden />}
          <Text>{text}</Text>
        </Group>
        {step !== "time_over" && (
          <>
            {!refunding && (
              <Text>
                <strong>{t("booking.notCharged")}</strong> {step !== "expired" && t("booking.reservedAmount")}
              </Text>
            )}
            <Again booking={booking} />
          </>
        )}
      </Stack>
    </BookingFrame>
  );
}

/** The same choice once more, at the event. */
function Again({ booking }: { booking: BookingRead }) {
  const { t } = useTranslation();
  const { event, tickets, contact } = booking;
  function choose() {
    const quantities: Record<string, number> = {};
    for (const { ticket_type_id } of tickets) quantities[ticket_type_id] = (quantities[ticket_type_id] ?? 0) + 1;
    keepDraft(event.event_id, { quantities, ...contact });
  }
  return (
    <Group>
      <Button component={Link} to={`/events/${event.event_id}`} onClick={choose} size="md">
        {t("booking.again")}
      </Button>
    </Group>
  );
}
