import { Anchor, Button, SimpleGrid, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { onceOnly } from "../../api/client";
import { type EventRead, publishEvent, type TicketTypeRead } from "../../api/generated";
import { readEventOptions } from "../../api/generated/@tanstack/react-query.gen";
import { number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { Amount } from "../layout/Amount";
import { Facts } from "../layout/Facts";
import { Page } from "../layout/Page";
import { Part } from "../layout/Part";
import { Refusal } from "../layout/Refusal";
import { type Column, Rows } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { useMay } from "../who";
import { Campaign } from "./Campaign";
import { CancelDialog } from "./CancelDialog";

const BACK = { to: "/staff/events", label: "Events" };

export function EventPage() {
  const { eventId = "" } = useParams();
  const event = useQuery({ ...readEventOptions({ path: { event_id: eventId } }), refetchInterval: 10_000 });
  return (
    <Loaded query={event}>
      {(found) => (
        <Page title={found.name} back={BACK} actions={<Actions event={found} />}>
          {found.status === "cancelled" && <Campaign eventId={found.id} />}
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <About event={found} />
            <Policy event={found} />
          </SimpleGrid>
          <Part title="Ticket types">
            <Rows label="Ticket types" rows={found.ticket_types} columns={TICKET_TYPES} empty="There are none." />
          </Part>
        </Page>
      )}
    </Loaded>
  );
}

const TICKET_TYPES: Column<TicketTypeRead>[] = [
  { head: "Ticket type", cell: (type) => type.name },
  { head: "Price", cell: (type) => <Amount of={type.price} />, numeric: true },
  { head: "Tax", cell: (type) => `${type.tax_rate_bp / 100} %`, numeric: true, wide: true },
  { head: "Held", cell: (type) => number(type.held ?? 0), numeric: true },
  { head: "Sold", cell: (type) => number(type.sold ?? 0), numeric: true },
  { head: "Left", cell: (type) => `${number(type.available)} of ${number(type.capacity)}`, numeric: true },
];

function About({ event }: { event: EventRead }) {
  return (
    <Part title="Event">
      <Facts
        of={{
          Status: <StatusBadge status={event.status} />,
          Venue: event.venue,
          Starts: <When at={event.starts_at} zone={event.timezone} />,
          Ends: <When at={event.ends_at} zone={event.timezone} />,
          "Time zone": event.timezone,
          "Full refund until": event.full_refund_until && <When at={event.full_refund_until} zone={event.timezone} />,
          Description: event.description && (
            <Text inherit style={{ whiteSpace: "pre-line" }}>
              {event.description}
            </Text>
          ),
          Bookings: (
            <Anchor component={Link} to={`/staff/bookings?event_id=${event.id}`} inherit>
              of this event
            </Anchor>
          ),
        }}
      />
    </Part>
  );
}

function Policy({ event }: { event: EventRead }) {
  const { tiers, policy_id, policy_version, fee_minor } = event.refund_policy;
  return (
    <Part title="Refund policy">
      <Facts
        of={{
          Policy: `${policy_id}, version ${policy_version}`,
          ...Object.fromEntries(tiers.map((tier) => [`${tier.hours_before} h before`, `${tier.percent} %`])),
          Later: "nothing",
          "Fee that is kept": fee_minor ? (
            <Amount of={{ amount_minor: fee_minor ?? 0, currency: event.currency }} />
          ) : null,
        }}
      />
    </Part>
  );
}

function Actions({ event }: { event: EventRead }) {
  const manager = useMay("manager");
  const [cancelling, setCancelling] = useState(false);
  const open = manager && (event.status === "draft" || event.status === "on_sale");
  return (
    <>
      {event.status !== "draft" && (
        <Button size="xs" variant="default" component="a" href={`/events/${event.id}`} target="_blank">
          See as a customer
        </Button>
      )}
      {open && (
        <Button size="xs" variant="default" component={Link} to={`/staff/events/${event.id}/edit`}>
          Edit
        </Button>
      )}
      {open && event.status === "draft" && <Publish event={event} />}
      {open && event.status === "on_sale" && (
        <Button size="xs" color="red" variant="light" onClick={() => setCancelling(true)}>
          Cancel event
        </Button>
      )}
      {cancelling && <CancelDialog event={event} onClose={() => setCancelling(false)} />}
    </>
  );
}

function Publish({ event }: { event: EventRead }) {
  const queries = useQueryClient();
  const [key] = useState(() => crypto.randomUUID());
  const publish = useMutation({
    mutationFn: () => publishEvent({ path: { event_id: event.id }, headers: onceOnly(key), throwOnError: true }),
    onSuccess: () => queries.invalidateQueries(),
  });
  return (
    <>
      <Refusal error={publish.error} />
      <Button size="xs" loading={publish.isPending} onClick={() => publish.mutate()}>
        Put on sale
      </Button>
    </>
  );
}
