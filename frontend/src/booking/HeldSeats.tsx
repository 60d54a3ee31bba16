import { Alert, Anchor } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { BookingRead } from "../api/generated";
import { timeOfDay } from "../format";
import { keptLately } from "./access";
import { useSecondsUntil } from "./clock";
import { bookingQuery } from "./queries";

/** The way on to the payment for who came back from it to the event, and may think that nothing is reserved. */
export function HeldSeats({ eventId }: { eventId: string }) {
  const [kept] = useState(keptLately);
  const bookings = useQueries({ queries: kept.map((opened) => bookingQuery(opened)) });
  return bookings
    .flatMap(({ data }) => data ?? [])
    .filter(({ event, status }) => event.event_id === eventId && status === "pending_payment")
    .map(
      (booking) => booking.hold_expires_at && <Held key={booking.id} {...booking} until={booking.hold_expires_at} />,
    );
}

function Held({ id, tickets, until }: BookingRead & { until: string }) {
  const { t } = useTranslation();
  if (!useSecondsUntil(until)) return null;
  return (
    // In view also where the browser's button leads: to the foot of the form.
    <Alert role="status" variant="default" style={{ position: "sticky", top: 8, zIndex: 1 }}>
      {t("event.held", { count: tickets.length, until: timeOfDay(until) })}{" "}
      <Anchor component={Link} to={`/bookings/${id}`} inherit>
        {t("event.toPayment")}
      </Anchor>
    </Alert>
  );
}
