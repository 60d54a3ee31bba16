import { Alert, Button, Checkbox, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { onceOnly, Problem } from "../api/client";
import { type BookingCreate, createBooking, type EventRead } from "../api/generated";
import type { Language } from "../i18n";
import { Section } from "../layout/Section";
import { keepToken } from "./access";
import { useKey } from "./ask";
import { Bill } from "./Bill";
import { type Draft, draftOf, keepDraft } from "./draft";
import { positions, sum, taxIncluded } from "./prices";
import { bookingQuery, eventQuery, worthTrying } from "./queries";
import { seatsLeft } from "./sale";
import { Terms } from "./Terms";
import { TicketChoice } from "./TicketChoice";

type Wrong = { tickets?: string; name?: string; email?: string; accept?: string };

/** Tickets, contact, price and terms of one booking. What is chosen outlives a reload. */
export function OrderForm({ event }: { event: EventRead }) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => draftOf(event.id));
  const [accepted, setAccepted] = useState(false);
  const [wrong, setWrong] = useState<Wrong>({});
  const form = useRef<HTMLFormElement>(null);
  const refusal = useRef<HTMLDivElement>(null);
  const keyOf = useKey();

  const chosen = event.ticket_types.filter((type) => (draft.quantities[type.id] ?? 0) > 0);
  const bill = positions(
    chosen.flatMap(({ id, name, price, tax_rate_bp }) => {
      const [gross_minor, tax_minor] = [price.amount_minor, taxIncluded(price.amount_minor, tax_rate_bp)];
      return Array.from({ length: draft.quantities[id] ?? 0 }, () => ({ name, gross_minor, tax_minor, tax_rate_bp }));
    }),
  );

  const placing = useMutation({
    mutationFn: async (body: BookingCreate) => {
      const { data } = await createBooking({ body, headers: onceOnly(keyOf(body)), throwOnError: true });
      return data;
    },
    retry: worthTrying,
    onSuccess: ({ booking, access_token }) => {
      keepToken(booking.id, access_token);
      keepDraft(event.id, undefined);
      cache.setQueryData(bookingQuery({ bookingId: booking.id, token: access_token }).queryKey, booking);
      navigate(`/bookings/${booking.id}`);
    },
    onError: (error) => {
      void cache.invalidateQueries({ queryKey: eventQuery(event.id).queryKey });
      if (error instanceof Problem) setWrong(found(error, t));
    },
  });
  useEffect(() => {
    if (placing.error) (form.current?.querySelector<HTMLElement>("[aria-invalid=true]") ?? refusal.current)?.focus();
  }, [placing.error]);

  function change(part: Partial<Draft>) {
    const changed = { ...draft, ...part };
    setDraft(changed);
    keepDraft(event.id, changed);
    placing.reset();
  }

  function place(submitted: FormEvent) {
    submitted.preventDefault();
    if (placing.isPending) return;
    const missing: Wrong = {
      ...(chosen.length === 0 && { tickets: t("event.wrong.choose") }),
      ...(!draft.name.trim() && { name: t("event.wrong.name") }),
      ...(!draft.email.trim() && { email: t("event.wrong.email") }),
      ...(!accepted && { accept: t("event.wrong.accept") }),
    };
    setWrong(missing);
    if (Object.keys(missing).length) {
      // Once the fields know that they are wrong.
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    placing.mutate({
      event_id: event.id,
      items: chosen.map(({ id }) => ({ ticket_type_id: id, quantity: draft.quantities[id] ?? 0 })),
      contact: { name: draft.name.trim(), email: draft.email.trim() },
      language: i18n.language as Language,
      policy_accepted: accepted,
    });
  }

  const free = chosen.length > 0 && sum(bill, "gross_minor") === 0;
  const tickets = (
    <Section title={t("event.tickets")}>
      <TicketChoice
        event={event}
        quantities={draft.quantities}
        onChange={(quantities) => {
          setWrong(({ tickets: _, ...others }) => others);
          change({ quantities });
        }}
        error={wrong.tickets}
      />
    </Section>
  );
  if (chosen.length === 0 && !seatsLeft(event)) return tickets; // nothing that a form could ask for
  return (
    <form ref={form} onSubmit={place} noValidate>
      <Stack gap="xl">
        {tickets}
        <Section title={t("event.contact")} text={t("event.contactText")}>
          <Stack maw={420}>
            <TextInput
              label={t("event.personName")}
              name="name"
              autoComplete="name"
              required
              maxLength={200}
              size="md"
              value={draft.name}
              error={wrong.name}
              onChange={(typed) => change({ name: typed.currentTarget.value })}
            />
            <TextInput
              label={t("event.email")}
              name="email"
              type="email"
              inputMode="email"
              autoComplete="email"
              required
              maxLength={254}
              size="md"
              value={draft.email}
              error={wrong.email}
              onChange={(typed) => change({ email: typed.currentTarget.value })}
            />
          </Stack>
        </Section>
        <Section title={t("event.check")}>
          <Stack maw={560}>
            <Bill bill={bill} currency={event.currency} />
            <Title order={3} size="h4">
              {t("terms.title")}
            </Title>
            <Terms
              policy={event.refund_policy}
              startsAt={event.starts_at}
              timezone={event.timezone}
              currency={event.currency}
            />
            <Checkbox
              label={t("event.accept")}
              size="md"
              required
              checked={accepted}
              error={wrong.accept}
              aria-invalid={wrong.accept ? true : undefined}
              onChange={(ticked) => {
                setAccepted(ticked.currentTarget.checked);
                setWrong(({ accept: _, ...others }) => others);
              }}
            />
            {placing.error != null && (
              <div ref={refusal} tabIndex={-1}>
                <Refusal event={event} error={placing.error} wrong={wrong} />
              </div>
            )}
            <Group>
              <Button type="submit" size="lg" loading={placing.isPending}>
                {t(free ? "event.reserveFree" : "event.reserve")}
              </Button>
            </Group>
            <Text size="sm" c="dimmed" role="status">
              {placing.isPending ? t("event.placing") : free ? "" : t("event.reserveNote")}
            </Text>
          </Stack>
        </Section>
      </Stack>
    </form>
  );
}

/** The fields that the API refused, in the reader's language. */
function found({ fields }: Problem, t: ReturnType<typeof useTranslation>["t"]): Wrong {
  const items = Object.entries(fields).find(([field]) => field.startsWith("items"))?.[1];
  return {
    ...("contact.name" in fields && { name: t("event.wrong.nameForm") }),
    ...("contact.email" in fields && { email: t("event.wrong.emailForm") }),
    ...(items && { tickets: items }),
  };
}

function Refusal({ event, error, wrong }: { event: EventRead; error: unknown; wrong: Wrong }) {
  const { t } = useTranslation();
  if (!(error instanceof Problem) || error.passing) {
    return (
      <Alert color="red" role="alert">
        {t("event.wrong.away")}
      </Alert>
    );
  }
  if (error.facts.state === "sold_out") {
    const left = error.facts.left as { ticket_type_id: string; available: number }[];
    return (
      <Alert color="red" role="alert" title={t("event.wrong.sold")}>
        {t("event.wrong.soldText")}
        <ul>
          {left.map(({ ticket_type_id, available }) => {
            const name = event.ticket_types.find(({ id }) => id === ticket_type_id)?.name ?? "";
            return <li key={ticket_type_id}>{t("event.wrong.fewer", { name, count: available })}</li>;
          })}
        </ul>
      </Alert>
    );
  }
  const ended = { cancelled: t("event.cancelledText"), started: t("event.startedText") };
  return (
    <Alert color="red" role="alert" title={Object.keys(wrong).length ? t("event.wrong.title") : undefined}>
      {Object.values(wrong).join(" ") || ended[error.facts.state as keyof typeof ended] || error.message}
    </Alert>
  );
}
