import { Anchor, Badge, Button, Group, Progress, Stack, Switch, Table, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import type { EventRead } from "../../api/generated";
import { listEventsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { dateTime, number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { useMay } from "../who";
import { EventStatus } from "./EventStatus";

export function EventsPage() {
  const [search, setSearch] = useSearchParams();
  const ended = search.has("ended");
  const events = useInfiniteQuery({
    ...listEventsInfiniteOptions({ query: { drafts: true, ended, limit: 50 } }),
    initialPageParam: {},
    getNextPageParam: (page) => (page.next_cursor ? { query: { cursor: page.next_cursor } } : undefined),
  });
  const manager = useMay("manager");
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1}>Events</Title>
        {manager && (
          <Button component={Link} to="/staff/events/new">
            New event
          </Button>
        )}
      </Group>
      <Switch
        label="Past events too"
        checked={ended}
        onChange={(event) => setSearch(event.currentTarget.checked ? { ended: "" } : {}, { replace: true })}
      />
      <Loaded query={events}>
        {({ pages }) => {
          const items = pages.flatMap((page) => page.items);
          return items.length ? (
            <Table.ScrollContainer minWidth={640}>
              <Table highlightOnHover verticalSpacing="sm">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Event</Table.Th>
                    <Table.Th>Starts</Table.Th>
                    <Table.Th>Status</Table.Th>
                    <Table.Th>Seats</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((event) => (
                    <Row key={event.id} event={event} />
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ) : (
            <Text>No event is planned. A new one can be prepared as a draft before anybody sees it.</Text>
          );
        }}
      </Loaded>
      {events.hasNextPage && (
        <Button
          variant="default"
          onClick={() => events.fetchNextPage()}
          loading={events.isFetchingNextPage}
          style={{ alignSelf: "center" }}
        >
          More
        </Button>
      )}
    </Stack>
  );
}

function Row({ event }: { event: EventRead }) {
  const capacity = event.ticket_types.reduce((sum, type) => sum + type.capacity, 0);
  const free = event.ticket_types.reduce((sum, type) => sum + type.available, 0);
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor component={Link} to={`/staff/events/${event.id}`} fw={600}>
          {event.name}
        </Anchor>
        <Text size="sm" c="dimmed">
          {event.venue}
        </Text>
      </Table.Td>
      <Table.Td>{dateTime(event.starts_at, event.timezone)}</Table.Td>
      <Table.Td>
        <EventStatus status={event.status} />
      </Table.Td>
      <Table.Td miw={140}>
        <Text size="sm">
          {number(capacity - free)} of {number(capacity)} taken {capacity > 0 && !free && <Badge size="xs">full</Badge>}
        </Text>
        <Progress value={capacity ? (100 * (capacity - free)) / capacity : 0} aria-hidden />
      </Table.Td>
    </Table.Tr>
  );
}
