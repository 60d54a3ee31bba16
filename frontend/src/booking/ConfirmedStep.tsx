import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { BookingRead } from "../api/generated";
import { Section } from "../layout/Section";
import { BookingFrame } from "./BookingFrame";
import { CancelPanel } from "./CancelPanel";
import { saveCalendar } from "./calendar";
import { now } from "./clock";
import { Money } from "./Money";
import type { Opened } from "./queries";
import { Tickets } from "./Tickets";

/** The tickets, and all that can be done with them. */
export function ConfirmedStep({ booking, opened }: { booking: BookingRead; opened: Opened }) {
  const { t } = useTranslation();
  const [cancelling, setCancelling] = useState(false);
  const [given, setGiven] = useState(0);
  const said = useRef<HTMLDivElement>(null);
  const kept = useRef(false);
  useEffect(() => {
    if (given) said.current?.focus();
  }, [given]);
  const event = booking.current_event ?? booking.event;
  const started = now() >= Date.parse(event.starts_at);
  const returned = booking.tickets.some(({ cancelled_at }) => cancelled_at);
  return (
    <BookingFrame booking={booking} title={t("confirmed.title")}>
      {given > 0 && (
        <Alert color="teal" ref={said} tabIndex={-1}>
          {t("cancel.partly", { count: given })}
        </Alert>
      )}
      <Text>{t("confirmed.mailed", { email: booking.contact.email })}</Text>
      <Section title={t("confirmed.tickets")} text={t("confirmed.show")}>
        <Tickets booking={booking} />
        <Text size="sm" c="dimmed">
          {t("confirmed.copies")}
        </Text>
        <Group>
          <CalendarButton opened={opened} name={event.name} />
          <Button component={Link} to={`/bookings/${booking.id}/receipt`} variant="default">
            {t("confirmed.receipt")}
          </Button>
        </Group>
      </Section>
      {(returned || booking.refund_state !== "none") && <Money booking={booking} opened={opened} />}
      {started ? (
        <Text c="dimmed">{t("cancel.started")}</Text>
      ) : cancelling ? (
        <CancelPanel
          booking={booking}
          opened={opened}
          onKept={() => {
            kept.current = true;
            setCancelling(false);
          }}
          onGiven={(count) => {
            setCancelling(false);
            setGiven(count);
          }}
        />
      ) : (
        <Group>
          <Button
            variant="subtle"
            color="red"
            onClick={() => setCancelling(true)}
            ref={(button: HTMLButtonElement | null) => {
              if (kept.current) button?.focus(); // which the panel had
              kept.current = false;
            }}
          >
            {t("cancel.open")}
          </Button>
        </Group>
      )}
    </BookingFrame>
  );
}

function CalendarButton({ opened, name }: { opened: Opened; name: string }) {
  const { t } = useTranslation();
  const [state, setState] = useState<"idle" | "loading" | "away">("idle");
  async function save() {
    if (state === "loading") return;
    setState("loading");
    setState((await saveCalendar(opened, name)) ? "idle" : "away");
  }
  return (
    <Stack gap={4}>
      <Button variant="default" onClick={save} loading={state === "loading"}>
        {t("confirmed.calendar")}
      </Button>
      {state === "away" && (
        <Text size="sm" role="alert">
          {t("confirmed.calendarAway")}
        </Text>
      )}
    </Stack>
  );
}
