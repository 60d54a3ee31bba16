import { Alert, Button, Card, Checkbox, Group, Skeleton, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { onceOnly, Problem } from "../api/client";
import { type BookingRead, cancelBooking, type Quote } from "../api/generated";
import { dateTime, money, percent } from "../format";
import { Section } from "../layout/Section";
import { useKey } from "./ask";
import classes from "./CancelPanel.module.css";
import { bookingQuery, type Opened, quoteQuery, worthTrying } from "./queries";

type Props = {
  booking: BookingRead;
  opened: Opened;
  onKept: () => void;
  onGiven: (tickets: number) => void;
};

/** Which tickets are given back, and first what that gives. */
export function CancelPanel({ booking, opened, onKept, onGiven }: Props) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const keyOf = useKey();
  const panel = useRef<HTMLDivElement>(null);
  const valid = booking.tickets.filter(({ status }) => status === "valid");
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const chosen = valid.filter(({ id }) => !left.has(id)).map(({ id }) => id);
  const all = chosen.length === valid.length;
  const asked = all && valid.length === booking.tickets.length ? undefined : chosen;
  const quote = useQuery({ ...quoteQuery(opened, asked, booking.revision), enabled: chosen.length > 0 });
  useEffect(() => {
    panel.current?.focus();
    panel.current?.scrollIntoView({ block: "nearest" });
  }, []);

  const cancelling = useMutation({
    mutationFn: async (ticketIds: string[]) => {
      const body = { ticket_ids: ticketIds };
      const path = { booking_id: booking.id };
      const { data } = await cancelBooking({
        body,
        path,
        auth: opened.token,
        headers: onceOnly(keyOf(body)),
        throwOnError: true,
      });
      return data;
    },
    retry: worthTrying,
    onSuccess: (read, ticketIds) => {
      cache.setQueryData(bookingQuery(opened).queryKey, read);
      if (read.status === "confirmed") onGiven(ticketIds.length);
    },
    onError: () => void cache.invalidateQueries({ queryKey: bookingQuery(opened).queryKey, exact: true }),
  });
  const refused = cancelling.error instanceof Problem && !cancelling.error.passing;

  return (
    <Card withBorder padding="md" ref={panel} tabIndex={-1} className={classes.panel}>
      <Section title={t("cancel.title")}>
        {valid.length > 1 && (
          <Checkbox.Group
            label={t("cancel.choose")}
            value={chosen}
            onChange={(kept) => setLeft(new Set(valid.map(({ id }) => id).filter((id) => !kept.includes(id))))}
          >
            <Stack gap="xs" mt="xs">
              {valid.map(({ id, name, gross_minor }) => (
                <Checkbox
                  key={id}
                  value={id}
                  label={`${name}, ${money({ amount_minor: gross_minor, currency: booking.total.currency })} (#${booking.tickets.findIndex((ticket) => ticket.id === id) + 1})`}
                />
              ))}
            </Stack>
          </Checkbox.Group>
        )}
        <div className={classes.quote} role="status">
          {chosen.length === 0 ? (
            <Text>{t("cancel.none")}</Text>
          ) : quote.data ? (
            <Quoted quote={quote.data} booking={booking} />
          ) : quote.failureReason != null ? (
            <Text>{t("cancel.away")}</Text>
          ) : (
            <Stack gap="xs" aria-label={t("cancel.asked")}>
              <Skeleton h={28} w="60%" />
              <Skeleton h={18} />
              <Skeleton h={18} w="80%" />
            </Stack>
          )}
        </div>
        {cancelling.error != null && (
          <Alert color="red" role="alert">
            {t(refused ? "cancel.conflict" : "cancel.failed")}
          </Alert>
        )}
        <Group>
          <Button
            color="red"
            loading={cancelling.isPending}
            disabled={chosen.length === 0 || !quote.data}
            onClick={() => cancelling.isPending || cancelling.mutate(chosen)}
          >
            {all ? t("cancel.whole") : t("cancel.button", { count: chosen.length })}
          </Button>
          <Button variant="default" onClick={onKept} disabled={cancelling.isPending}>
            {t("cancel.keep")}
          </Button>
        </Group>
        <Text size="sm" c="dimmed" role="status">
          {cancelling.isPending ? t("cancel.working") : t("cancel.final")}
        </Text>
      </Section>
    </Card>
  );
}

/** What goes back, why, and until when it is more than later. */
function Quoted({ quote, booking }: { quote: Quote; booking: BookingRead }) {
  const { t } = useTranslation();
  const moved = quote.full_refund_until !== null && Date.parse(quote.full_refund_until) >= Date.parse(quote.now);
  const hours = booking.refund_policy.tiers.at(-1)?.hours_before;
  function why(): string {
    if (quote.state === "free") return t("cancel.whyFree");
    if (moved && quote.percent === 100) return t("cancel.whyMoved");
    if (quote.percent) return t("cancel.why", { percent: percent(quote.percent) });
    return hours === undefined ? t("cancel.whyNever") : t("cancel.whyLate", { hours });
  }
  return (
    <Stack gap="xs">
      <Text size="lg" fw={650}>
        {quote.amount.amount_minor ? t("cancel.goesBack", { amount: money(quote.amount) }) : t("cancel.nothingBack")}
      </Text>
      <Text>{why()}</Text>
      {quote.fee_minor > 0 && quote.amount.amount_minor > 0 && (
        <Text>
          {t("cancel.fee", { amount: money({ amount_minor: quote.fee_minor, currency: quote.amount.currency }) })}
        </Text>
      )}
      {!moved && quote.next_cut_offs.length > 0 && (
        <ul className={classes.cutOffs}>
          {quote.next_cut_offs.map((cutOff) => (
            <li key={cutOff.until}>
              {t("terms.until", { when: dateTime(cutOff.until, quote.timezone), percent: percent(cutOff.percent) })}
            </li>
          ))}
          <li>{t("terms.after")}</li>
        </ul>
      )}
      {quote.state === "paid" && (
        <Text size="sm" c="dimmed">
          {t("cancel.counts")}
        </Text>
      )}
    </Stack>
  );
}
