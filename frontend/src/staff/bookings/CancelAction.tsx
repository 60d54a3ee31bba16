import { Checkbox, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { onceOnly, Problem } from "../../api/client";
import { type BookingRead, cancelBooking, type Quote } from "../../api/generated";
import { quoteCancellationOptions } from "../../api/generated/@tanstack/react-query.gen";
import { money } from "../../format";
import { Action } from "../layout/Ask";
import { Known } from "../layout/Known";
import { Policy } from "../refunds/Policy";

/** Cancels for the customer, after showing what goes back. */
export function CancelAction({ booking }: { booking: BookingRead }) {
  const ask = async (key: string, fields: FormData) => {
    const chosen = fields.getAll("ticket").map(String);
    if (isConfirmed(booking) && !chosen.length) throw new Problem(422, "Choose at least one ticket.");
    const left = leftOf(booking);
    const { data } = await cancelBooking({
      path: { booking_id: booking.id },
      headers: onceOnly(key),
      body: chosen.length && chosen.length < left.length ? { ticket_ids: chosen } : {},
      throwOnError: true,
    });
    return data;
  };
  return (
    <Action
      label="Cancel for the customer"
      title="Cancel for the customer"
      submit={isConfirmed(booking) ? "Cancel these tickets" : "Cancel the booking"}
      color="red"
      ask={ask}
      size="lg"
    >
      <Stack gap="sm">
        {isConfirmed(booking) ? (
          <Tickets booking={booking} />
        ) : (
          <Text size="sm">The booking is not paid yet: its seats come free, and nothing is charged.</Text>
        )}
        <Text size="sm">{booking.contact.name} gets a mail that says so. It cannot be taken back.</Text>
      </Stack>
    </Action>
  );
}

const isConfirmed = ({ status }: BookingRead) => status === "confirmed";
const leftOf = ({ tickets }: BookingRead) => tickets.filter(({ status }) => status === "valid");

function Tickets({ booking }: { booking: BookingRead }) {
  const left = leftOf(booking);
  const [chosen, setChosen] = useState(() => left.map(({ id }) => id));
  const all = chosen.length === left.length;
  const quote = useQuery({
    ...quoteCancellationOptions({ query: { booking_id: booking.id, ...(!all && { line_ids: chosen }) } }),
    enabled: chosen.length > 0,
  });
  return (
    <>
      <Checkbox.Group label="Tickets that are cancelled" value={chosen} onChange={setChosen}>
        <Stack gap="xs" mt={4}>
          {left.map(({ id, name, gross_minor }) => (
            <Checkbox
              key={id}
              name="ticket"
              value={id}
              size="xs"
              label={`${name}, ${money({ amount_minor: gross_minor, currency: booking.total.currency })}`}
            />
          ))}
        </Stack>
      </Checkbox.Group>
      {chosen.length > 0 && <Known query={quote}>{(found) => <GoesBack quote={found} />}</Known>}
    </>
  );
}

function GoesBack({ quote }: { quote: Quote }) {
  return (
    <>
      <Text fw={600} role="status">
        Received now, {money(quote.amount)} goes back.
      </Text>
      <Policy quote={quote} />
    </>
  );
}
