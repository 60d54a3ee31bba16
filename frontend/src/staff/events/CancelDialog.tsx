import { Alert, List, Modal, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { onceOnly } from "../../api/client";
import {
  type CampaignPlan,
  cancelEvent,
  type EventCancellation,
  type EventRead,
  readCampaign,
} from "../../api/generated";
import { money, number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { Ask } from "../layout/Ask";

/** Shows what cancelling would do, asks for the event's name, does it once. */
export function CancelDialog({ event, onClose }: { event: EventRead; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const path = { event_id: event.id };
  const dryRun = useQuery({
    queryKey: ["cancel event, dry run", event.id],
    queryFn: async () => {
      const query = { dry_run: true };
      const [ends, refunds] = await Promise.all([
        // Nothing is done under this key, which the route asks for all the same.
        cancelEvent({ path, query, headers: onceOnly(crypto.randomUUID()), throwOnError: true }),
        readCampaign({ path, query, throwOnError: true }),
      ]);
      return { ends: ends.data, refunds: refunds.data as CampaignPlan };
    },
    gcTime: 0,
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Cancel ${event.name}`}
      size="lg"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Ask
        submit="Cancel the event and refund everybody"
        color="red"
        disabled={typed.trim() !== event.name || !dryRun.data}
        ask={(key) => cancelEvent({ path, headers: onceOnly(key), throwOnError: true })}
        onClose={onClose}
      >
        <Loaded query={dryRun}>{({ ends, refunds }) => <DryRun ends={ends} refunds={refunds} />}</Loaded>
        <Alert color="red">Sales stop at once, and every buyer is written to. This cannot be undone.</Alert>
        <TextInput
          label={`Type the event's name to confirm: ${event.name}`}
          value={typed}
          onChange={(change) => setTyped(change.currentTarget.value)}
          data-autofocus
          autoComplete="off"
        />
      </Ask>
    </Modal>
  );
}

function DryRun({ ends, refunds }: { ends: EventCancellation; refunds: CampaignPlan }) {
  return (
    <>
      <List size="sm">
        <List.Item>
          {number(ends.bookings.confirmed ?? 0)} confirmed bookings of {number(ends.buyers)} buyers end, with{" "}
          {number(ends.tickets)} tickets.
        </List.Item>
        <List.Item>
          {number(ends.holds)} held seats come free; {number(ends.authorizations)} authorized payments are voided.
        </List.Item>
      </List>
      {refunds.totals.map(({ amount, shortfall_minor }) => (
        <Text key={amount.currency} size="sm">
          <b>{money(amount)}</b> will be refunded
          {shortfall_minor
            ? `; the provider's balance lacks ${money({ amount_minor: shortfall_minor, currency: amount.currency })}, so some refunds will wait until it is topped up`
            : ""}
          .
        </Text>
      ))}
      {refunds.totals.length === 0 && <Text size="sm">Nothing has to be refunded.</Text>}
    </>
  );
}
