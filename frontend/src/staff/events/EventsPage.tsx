import { Anchor, Button, Group, Progress, Switch, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { EventRead } from "../../api/generated";
import { listEventsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { number } from "../../format";
import { Search, useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import type { Column } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { useMay } from "../who";

export function EventsPage() {
  const [{ ended, q }, narrow] = useFilters("ended", "q");
  const events = useInfiniteQuery({
    ...listEventsInfiniteOptions({ query: { drafts: true, ended: Boolean(ended), q: q ?? null } }),
    ...BY_CURSOR,
  });
  const create = useMay("manager") && (
    <Button size="xs" component={Link} to="/staff/events/new">
      New event
    </Button>
  );
  return (
    <Page title="Events" actions={create}>
      <Group gap="xs">
        <Search label="Name, venue or day such as 2026-11" value={q} onChange={(value) => narrow("q", value)} />
        <Switch
          size="xs"
          label="Past events too"
          checked={Boolean(ended)}
          onChange={(change) => narrow("ended", change.currentTarget.checked ? "yes" : "")}
        />
      </Group>
      <Pages
        label="Events"
        query={events}
        rows={(page) => page.items}
        columns={COLUMNS}
        empty={
          q
            ? "No event fits this search."
            : "No event is planned. A new one can be prepared as a draft before anybody sees it."
        }
      />
    </Page>
  );
}

const COLUMNS: Column<EventRead>[] = [
  {
    head: "Event",
    cell: (event) => (
      <Anchor component={Link} to={`/staff/events/${event.id}`} inherit fw={600}>
        {event.name}
      </Anchor>
    ),
  },
  { head: "Venue", cell: (event) => event.venue, wide: true },
  { head: "Starts", cell: (event) => <When at={event.starts_at} zone={event.timezone} /> },
  { head: "Status", cell: (event) => <StatusBadge status={event.status} /> },
  { head: "Seats taken", cell: (event) => <Seats event={event} /> },
];

function Seats({ event }: { event: EventRead }) {
  const capacity = event.ticket_types.reduce((sum, type) => sum + type.capacity, 0);
  const taken = capacity - event.ticket_types.reduce((sum, type) => sum + type.available, 0);
  return (
    <>
      <Text inherit>
        {number(taken)} of {number(capacity)}
      </Text>
      <Progress size="xs" value={capacity ? (100 * taken) / capacity : 0} aria-hidden />
    </>
  );
}
