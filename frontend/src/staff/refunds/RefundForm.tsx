import { Alert, Anchor, Checkbox, NativeSelect, Radio, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { onceOnly, Problem } from "../../api/client";
import {
  type BookingRead,
  createRefund,
  type Quote,
  type RefundDetail,
  type RefundRequest,
  type RefundSummary,
} from "../../api/generated";
import { money } from "../../format";
import { typedMinor } from "../amounts";
import { Figures } from "../bookings/BookingMoney";
import { Ask } from "../layout/Ask";
import { useMay } from "../who";
import { Policy } from "./Policy";
import { type Picked, Tickets } from "./Tickets";
import { REASONS, WHATEVER_THE_POLICY } from "./words";

type Props = { booking: BookingRead; refunds: RefundSummary[]; quote: Quote; onClose: () => void };
type How = "suggested" | "all" | "tickets" | "amount";

/** The refund dialog: what was paid and went back, what the policy suggests and why, and what staff decide. */
export function RefundForm({ booking, refunds, quote, onClose }: Props) {
  const currency = quote.paid.currency;
  const suggested = quote.state === "paid" ? quote.amount.amount_minor : 0;
  const [how, setHow] = useState<How>(suggested ? "suggested" : "all");
  const [amount, setAmount] = useState("");
  const [picked, setPicked] = useState<Picked>({});
  const [reason, setReason] = useState("");
  const mayOverride = useMay("manager");

  const asked = askedFor(how, { suggested, remaining: quote.remaining.amount_minor, amount, picked, currency });
  const owesAll = WHATEVER_THE_POLICY.includes(reason);
  const tooMuch = (asked ?? 0) > quote.remaining.amount_minor;
  const abovePolicy = quote.state === "paid" && !owesAll && !tooMuch && (asked ?? 0) > suggested;
  const ask = async (key: string, fields: FormData) => {
    if (asked === null)
      throw new Problem(422, "Say how much goes back: an amount above zero, in the booking's currency.");
    const { data } = await createRefund({
      body: {
        booking_id: booking.id,
        ...part(how, asked, picked, currency),
        reason: reason as RefundRequest["reason"],
        note: String(fields.get("note")).trim() || null,
        override: fields.get("override") === "on",
      },
      headers: onceOnly(key),
      throwOnError: true,
    });
    return data;
  };
  return (
    <Ask
      submit={asked === null ? "Refund" : `Refund ${money({ amount_minor: asked, currency })}`}
      disabled={quote.remaining.amount_minor === 0 || tooMuch}
      ask={ask}
      done={(refund) => <Done refund={refund} />}
      onClose={onClose}
    >
      <Figures quote={quote} />
      <section aria-label="What the policy gives now">
        <Text size="sm" fw={600}>
          {quote.state === "paid" ? `The policy gives ${money(quote.amount)} now.` : "The policy suggests nothing now."}
        </Text>
        <Policy quote={quote} />
      </section>
      <Radio.Group label="How much" value={how} onChange={(value) => setHow(value as How)}>
        <Stack gap="xs" mt={4}>
          {suggested > 0 && (
            <Radio size="xs" value="suggested" label={`What the policy gives: ${money(quote.amount)}`} />
          )}
          <Radio size="xs" value="all" label={`All that remains: ${money(quote.remaining)}`} />
          <Radio size="xs" value="tickets" label="Chosen tickets" />
          {how === "tickets" && <Tickets booking={booking} refunds={refunds} picked={picked} onChange={setPicked} />}
          <Radio size="xs" value="amount" label="An amount" />
          {how === "amount" && (
            <TextInput
              size="xs"
              ml="lg"
              maw={160}
              data-autofocus
              inputMode="decimal"
              aria-label={`Amount in ${currency}`}
              rightSection={<Text size="xs">{currency}</Text>}
              rightSectionWidth={44}
              value={amount}
              onChange={(event) => setAmount(event.currentTarget.value)}
              error={amount && asked === null && `Not an amount of ${currency}`}
            />
          )}
        </Stack>
      </Radio.Group>
      {booking.status === "confirmed" && (
        <Text size="xs" c="dimmed">
          The tickets stay valid. Who is not to come any more needs “Cancel for the customer” instead.
        </Text>
      )}
      <NativeSelect
        size="xs"
        label="Reason"
        required
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data={[
          { value: "", label: "Choose one" },
          ...Object.entries(REASONS).map(([value, label]) => ({ value, label })),
        ]}
      />
      <Textarea
        size="xs"
        name="note"
        label="Note for colleagues"
        description="Kept sealed; the customer does not see it."
        maxLength={1000}
        autosize
        minRows={2}
      />
      {tooMuch && (
        <Alert color="red" p="xs" role="alert">
          This is more than remains of the payment: {money(quote.remaining)}.
        </Alert>
      )}
      {abovePolicy && !mayOverride && (
        <Alert color="yellow" p="xs">
          This is more than the policy gives: a manager may override it.
        </Alert>
      )}
      {mayOverride && (
        <Checkbox
          size="xs"
          name="override"
          label="Override"
          description={
            abovePolicy
              ? "Needed: this is more than the policy gives."
              : "More than the policy gives, or while the payment is disputed."
          }
        />
      )}
    </Ask>
  );
}

type Choice = { suggested: number; remaining: number; amount: string; picked: Picked; currency: string };

/** In minor units; null where it is not said, or no amount. */
function askedFor(how: How, { suggested, remaining, amount, picked, currency }: Choice): number | null {
  if (how === "suggested") return suggested;
  if (how === "all") return remaining || null;
  if (how === "amount") return typedMinor(amount, currency) || null;
  const parts = Object.values(picked).map((text) => typedMinor(text, currency) || null);
  return parts.length && !parts.includes(null) ? parts.reduce<number>((sum, part) => sum + (part ?? 0), 0) : null;
}

/** The same as the API takes it. */
function part(how: How, asked: number, picked: Picked, currency: string): Partial<RefundRequest> {
  if (how === "all") return {};
  if (how !== "tickets") return { amount_minor: asked };
  return {
    lines: Object.entries(picked).map(([line_id, text]) => ({ line_id, amount_minor: typedMinor(text, currency) })),
  };
}

function Done({ refund }: { refund: RefundDetail }) {
  const waits = refund.status === "awaiting_approval";
  return (
    <Alert color={waits ? "yellow" : "green"}>
      <Text fw={700}>{money(refund.amount)}</Text>
      {waits
        ? "It is above what one person may refund: a second person has to approve it. Until then nothing goes to the customer, and the amount is kept for this refund."
        : "It is decided and on its way to the payment provider. The customer gets a mail once the provider has accepted it."}{" "}
      <Anchor component={Link} to={`/staff/refunds/${refund.id}`} inherit>
        Open the refund
      </Anchor>
    </Alert>
  );
}
