import { Checkbox, Group, Stack, Text, TextInput } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import type { BookingRead, RefundSummary } from "../../api/generated";
import { readRefundOptions } from "../../api/generated/@tanstack/react-query.gen";
import { money } from "../../format";
import { editable, typedMinor } from "../amounts";
import { Said } from "../layout/Known";
import { COUNTS } from "./words";

/** Tickets and how much of each goes back, as it was typed. */
export type Picked = Record<string, string>;

type Props = { booking: BookingRead; refunds: RefundSummary[]; picked: Picked; onChange: (picked: Picked) => void };

/** The tickets of a booking, each with what no refund has taken of it. */
export function Tickets({ booking, refunds, picked, onChange }: Props) {
  const currency = booking.total.currency;
  const given = useQueries({
    queries: refunds
      .filter(({ status }) => COUNTS(status))
      .map(({ id }) => readRefundOptions({ path: { refund_id: id } })),
  });
  if (given.some(({ isPending }) => isPending)) return <Said busy>Looking up what is left of each ticket</Said>;
  const shares = given.flatMap(({ data }) => data?.trace.lines ?? []);
  const taken = (ticketId: string) =>
    shares.filter(({ line_id }) => line_id === ticketId).reduce((sum, share) => sum + share.refund_minor, 0);
  return (
    <Stack gap="xs" ml="lg">
      {booking.tickets.map(({ id, name, gross_minor, status }) => {
        const left = gross_minor - taken(id);
        const text = picked[id];
        const { [id]: _, ...others } = picked;
        return (
          <Group key={id} gap="xs">
            <Checkbox
              size="xs"
              disabled={left <= 0}
              checked={text !== undefined}
              onChange={(event) =>
                onChange(event.currentTarget.checked ? { ...picked, [id]: editable(left, currency) } : others)
              }
              label={`${name} (${status}), ${money({ amount_minor: left, currency })} left`}
            />
            {text !== undefined && (
              <TextInput
                size="xs"
                w={130}
                inputMode="decimal"
                aria-label={`Amount of ${name} in ${currency}`}
                rightSection={<Text size="xs">{currency}</Text>}
                rightSectionWidth={44}
                value={text}
                onChange={(event) => onChange({ ...picked, [id]: event.currentTarget.value })}
                error={!typedMinor(text, currency)}
              />
            )}
          </Group>
        );
      })}
    </Stack>
  );
}
