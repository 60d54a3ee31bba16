import { Anchor, Card, Progress, Table, Text, Title } from "@mantine/core";
import { Link } from "react-router";
import type { EventAnalytics } from "../../api/generated";
import { money, number } from "../../format";

/** Events by the tickets that were confirmed. */
export function PopularEvents({ analytics }: { analytics: EventAnalytics }) {
  const events = analytics.by_event.toSorted((one, other) => other.tickets - one.tickets);
  return (
    <Card withBorder>
      <Title order={2} fz="h4">
        Popular events
      </Title>
      {events.length === 0 ? (
        <Text mt="sm">No booking was confirmed in these days.</Text>
      ) : (
        <Table.ScrollContainer minWidth={560}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Event</Table.Th>
                <Table.Th ta="right">Bookings</Table.Th>
                <Table.Th ta="right">Tickets</Table.Th>
                <Table.Th ta="right">Booked for</Table.Th>
                <Table.Th miw={140}>Sold of all seats</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {events.map((event) => (
                <Table.Tr key={event.event_id}>
                  <Table.Td>
                    <Anchor component={Link} to={`/staff/events/${event.event_id}`}>
                      {event.name}
                    </Anchor>
                  </Table.Td>
                  <Table.Td ta="right">{number(event.bookings)}</Table.Td>
                  <Table.Td ta="right">{number(event.tickets)}</Table.Td>
                  <Table.Td ta="right">{money({ amount_minor: event.gross_minor, currency: event.currency })}</Table.Td>
                  <Table.Td>
                    <Text size="sm">
                      {number(event.sold)} of {number(event.capacity)}
                    </Text>
                    <Progress value={event.capacity ? (100 * event.sold) / event.capacity : 0} aria-hidden />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Card>
  );
}
