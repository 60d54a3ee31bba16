import { Alert, Button, Group, List, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { onceOnly, type Problem } from "../../api/client";
import { type CampaignPlan, cancelEvent, type EventCancellation, type EventRead, readCampaign } from "../../api/generated";
import { money, number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { Refusal } from "../layout/Refusal";

/** Shows what cancelling would do, asks for the event's name, does it once. */
export function CancelDialog({ event, close }: { event: EventRead; close: () => void }) {
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const [key] = useState(() => crypto.randomUUID());
  const dryRun = useQuery({
    queryKey: ["cancel event, dry run", event.id],
    queryFn: async () => {
      const path = { event_id: event.id };
      const [ends, refunds] = await Promise.all([
        cancelEvent({ path, query: { dry_run: true }, headers: onceOnly(key), throwOnError: true }),
        readCampaign({ path, query: { dry_run: true }, throwOnError: true }),
      ]);
      return { ends: ends.data, refunds: refunds.data as CampaignPlan };
    },
    gcTime: 0,
  });
  const cancel = useMutation<unknown, Problem>({
    mutationFn: () => cancelEvent({ path: { event_id: event.id }, headers: onceOnly(key), throwOnError: true }),
    onSuccess: async () => {
      await queries.invalidateQueries();
      close();
    },
  });
  const sure = typed.trim() === event.name;
  return (
    <Modal opened onClose={close} title={`Cancel ${event.name}`} size="lg" closeOnClickOutside={false}>
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          if (sure && !cancel.isPending) cancel.mutate();
        }}
      >
        <Stack>
          <Loaded query={dryRun}>{({ ends, refunds }) => <DryRun ends={ends} refunds={refunds} />}</Loaded>
          <Alert color="red">Sales stop at once, and every buyer is written to. This cannot be undone.</Alert>
          <TextInput
            label={`Type the event's name to confirm: ${event.name}`}
            value={typed}
            onChange={(change) => setTyped(change.currentTarget.value)}
            data-autofocus
            autoComplete="off"
          />
          <Refusal problem={cancel.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Keep the event
            </Button>
            <Button type="submit" color="red" disabled={!sure || !dryRun.data} loading={cancel.isPending}>
              Cancel the event and refund everybody
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function DryRun({ ends, refunds }: { ends: EventCancellation; refunds: CampaignPlan }) {
  return (
    <>
      <List>
        <List.Item>
          {number(ends.bookings.confirmed ?? 0)} confirmed bookings of {number(ends.buyers)} buyers end, with{" "}
          {number(ends.tickets)} tickets.
        </List.Item>
        <List.Item>
          {number(ends.holds)} held seats come free; {number(ends.authorizations)} authorized payments are voided.
        </List.Item>
      </List>
      {refunds.totals.map(({ amount, shortfall_minor }) => (
        <Text key={amount.currency}>
          <b>{money(amount)}</b> will be refunded
          {shortfall_minor
            ? `; the provider's balance lacks ${money({ amount_minor: shortfall_minor, currency: amount.currency })}, so some refunds will wait until it is topped up`
            : ""}
          .
        </Text>
      ))}
      {refunds.totals.length === 0 && <Text>Nothing has to be refunded.</Text>}
    </>
  );
}
