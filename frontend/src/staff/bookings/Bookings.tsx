import { Anchor, Group } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { BookingSummary, ListBookingsData, Status } from "../../api/generated";
import { listBookingsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { EventFilter } from "../events/EventFilter";
import { Amount } from "../layout/Amount";
import { Csv } from "../layout/Csv";
import { every, Filter, Search, useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import type { Column } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";

const STATUSES = every<Status>({ pending_payment: 1, payment_authorized: 1, confirmed: 1, expired: 1, cancelled: 1 });

const COLUMNS: Column<BookingSummary>[] = [
  {
    head: "Customer",
    cell: ({ id, contact }) => (
      <Anchor component={Link} to={`/staff/bookings/${id}`} inherit>
        {contact.name}
      </Anchor>
    ),
  },
  { head: "E-mail", cell: ({ contact }) => contact.email, wide: true },
  { head: "Event", cell: ({ event_name }) => event_name, wide: true },
  { head: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
  { head: "Total", cell: ({ total }) => <Amount of={total} />, numeric: true },
  {
    head: "Refunds",
    cell: ({ refund_state }) => refund_state !== "none" && <StatusBadge status={refund_state} />,
  },
  { head: "Placed", cell: ({ placed_at }) => <When at={placed_at} />, wide: true },
];

export function Bookings() {
  const [filters, narrow] = useFilters("q", "status", "event_id");
  const query = filters as ListBookingsData["query"];
  const bookings = useInfiniteQuery({ ...listBookingsInfiniteOptions({ query }), ...BY_CURSOR });
  const narrowed = Object.keys(filters).length > 0;
  return (
    <Page title="Bookings" actions={<Csv url="/api/bookings.csv" query={filters} name="bookings.csv" />}>
      <Group gap="xs">
        <Search
          label="Name, e-mail, ticket code or booking id"
          value={filters.q}
          onChange={(value) => narrow("q", value)}
        />
        <Filter label="Status" value={filters.status} onChange={(value) => narrow("status", value)} of={STATUSES} />
        <EventFilter value={filters.event_id} onChange={(value) => narrow("event_id", value)} />
      </Group>
      <Pages
        label="Bookings"
        query={bookings}
        rows={({ items }) => items}
        columns={COLUMNS}
        empty={
          narrowed
            ? "No booking fits this search."
            : "Here are all bookings, the newest first, once somebody has booked."
        }
      />
    </Page>
  );
}
