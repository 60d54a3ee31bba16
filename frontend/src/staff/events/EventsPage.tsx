import { Anchor, Button, Progress, Switch, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { EventRead } from "../../api/generated";
import { listEventsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { number } from "../../format";
import { useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import type { Column } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { useMay } from "../who";

export function EventsPage() {
  const [{ ended }, narrow] = useFilters("ended");
  const events = useInfiniteQuery({
    ...listEventsInfiniteOptions({ query: { drafts: true, ended: Boolean(ended) } }),
    ...BY_CURSOR,
  });
  const create = useMay("manager") && (
    <Button size="xs" component={Link} to="/staff/events/new">
      New event
    </Button>
  );
  return (
    <Page title="Events" actions={create}>
      <Switch
        size="xs"
        label="Past events too"
        checked={Boolean(ended)}
        onChange={(change) => narrow("ended", change.currentTarget.checked ? "yes" : "")}
      />
      <Pages
        label="Events"
        query={events}
        rows={(page) => page.items}
        columns={COLUMNS}
        empty="No event is planned. A new one can be prepared as a draft before anybody sees it."
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
