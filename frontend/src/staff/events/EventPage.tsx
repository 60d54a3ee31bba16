import { Anchor, Button, Group, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { onceOnly } from "../../api/client";
import { type EventRead, publishEvent } from "../../api/generated";
import { readEventOptions } from "../../api/generated/@tanstack/react-query.gen";
import { dateTime, money, number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { Refusal } from "../layout/Refusal";
import { useMay } from "../who";
import { Campaign } from "./Campaign";
import { CancelDialog } from "./CancelDialog";
import { EventStatus } from "./EventStatus";

export function EventPage() {
  const { eventId = "" } = useParams();
  const event = useQuery({ ...readEventOptions({ path: { event_id: eventId } }), refetchInterval: 10_000 });
  return <Loaded query={event}>{(found) => <Shown event={found} />}</Loaded>;
}

function Shown({ event }: { event: EventRead }) {
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-start">
        <Stack gap={4}>
          <Group gap="sm">
            <Title order={1}>{event.name}</Title>
            <EventStatus status={event.status} />
          </Group>
          <Text>{event.venue}</Text>
          <Text>
            {dateTime(event.starts_at, event.timezone)} ({event.timezone})
          </Text>
          {event.full_refund_until && (
            <Text>Every buyer gets everything back until {dateTime(event.full_refund_until, event.timezone)}.</Text>
          )}
        </Stack>
        <Actions event={event} />
      </Group>
      {event.status === "cancelled" && <Campaign eventId={event.id} />}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <TicketTypes event={event} />
        <Policy event={event} />
      </SimpleGrid>
      {event.description && <Text style={{ whiteSpace: "pre-line" }}>{event.description}</Text>}
      <Anchor component={Link} to={`/staff/bookings?event_id=${event.id}`}>
        Bookings of this event
      </Anchor>
    </Stack>
  );
}

function Actions({ event }: { event: EventRead }) {
  const manager = useMay("manager");
  const queries = useQueryClient();
  const [cancelling, setCancelling] = useState(false);
  const [key] = useState(() => crypto.randomUUID());
  const publish = useMutation({
    mutationFn: () => publishEvent({ path: { event_id: event.id }, headers: onceOnly(key), throwOnError: true }),
    onSuccess: () => queries.invalidateQueries(),
  });
  const open = event.status === "draft" || event.status === "on_sale";
  return (
    <Stack align="flex-end">
      <Group>
        {event.status !== "draft" && (
          <Button variant="default" component="a" href={`/events/${event.id}`} target="_blank">
            See as a customer
          </Button>
        )}
        {manager && open && (
          <Button variant="default" component={Link} to={`/staff/events/${event.id}/edit`}>
            Edit
          </Button>
        )}
        {manager && event.status === "draft" && (
          <Button loading={publish.isPending} onClick={() => publish.mutate()}>
            Put on sale
          </Button>
        )}
        {manager && open && (
          <Button color="red" variant="light" onClick={() => setCancelling(true)}>
            Cancel event
          </Button>
        )}
      </Group>
      <Refusal problem={publish.error} />
      {cancelling && <CancelDialog event={event} close={() => setCancelling(false)} />}
    </Stack>
  );
}

function TicketTypes({ event }: { event: EventRead }) {
  return (
    <Table.ScrollContainer minWidth={320}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Ticket type</Table.Th>
            <Table.Th ta="right">Price</Table.Th>
            <Table.Th ta="right">Held</Table.Th>
            <Table.Th ta="right">Sold</Table.Th>
            <Table.Th ta="right">Left</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {event.ticket_types.map((type) => (
            <Table.Tr key={type.id}>
              <Table.Td>{type.name}</Table.Td>
              <Table.Td ta="right">{money(type.price)}</Table.Td>
              <Table.Td ta="right">{number(type.held ?? 0)}</Table.Td>
              <Table.Td ta="right">{number(type.sold ?? 0)}</Table.Td>
              <Table.Td ta="right">
                {number(type.available)} of {number(type.capacity)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Policy({ event }: { event: EventRead }) {
  const { tiers, policy_id, policy_version, fee_minor } = event.refund_policy;
  return (
    <Stack gap={4}>
      <Text fw={600}>
        Refund policy {policy_id}, version {policy_version}
      </Text>
      {tiers.map((tier) => (
        <Text key={tier.hours_before} size="sm">
          {tier.percent} % at least {tier.hours_before} h before the start
        </Text>
      ))}
      <Text size="sm">Later: nothing.</Text>
      {fee_minor > 0 && (
        <Text size="sm">A fee of {money({ amount_minor: fee_minor, currency: event.currency })} is kept.</Text>
      )}
    </Stack>
  );
}
