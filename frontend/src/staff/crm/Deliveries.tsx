import { Group, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { onceOnly } from "../../api/client";
import { type DeliveryOut, type DeliveryStatus, type ListDeliveriesData, redeliver } from "../../api/generated";
import { listDeliveriesInfiniteOptions, listEndpointsOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Action } from "../layout/Ask";
import { every, Filter, useFilters } from "../layout/filters";
import { WORK } from "../layout/live";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { useMay } from "../who";

const STATUSES = every<DeliveryStatus>({ pending: 1, delivered: 1, failed: 1 });

const COLUMNS: Column<DeliveryOut>[] = [
  { head: "Event", cell: ({ type, webhook_id }) => <span title={webhook_id}>{type}</span> },
  {
    head: "Booking",
    cell: ({ booking_id }) => booking_id && <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} />,
  },
  { head: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
  {
    head: "Answer",
    cell: ({ last_status, last_error, attempts }) => (
      <>
        {[last_status, last_error].filter(Boolean).join(": ")}
        {attempts > 1 && (
          <Text size="xs" c="dimmed">
            {attempts} attempts
          </Text>
        )}
      </>
    ),
    wide: true,
  },
  { head: "Owed since", cell: ({ created_at }) => <When at={created_at} seconds />, wide: true },
  { head: "Delivered", cell: ({ delivered_at }) => delivered_at && <When at={delivered_at} seconds />, wide: true },
  {
    head: "Next try",
    cell: ({ next_attempt_at }) => next_attempt_at && <When at={next_attempt_at} seconds />,
    wide: true,
  },
];

const REDELIVER: Column<DeliveryOut> = {
  head: "What to do",
  cell: (delivery) => delivery.status !== "pending" && <Redeliver delivery={delivery} />,
};

/** What one endpoint was told. */
export function Deliveries() {
  const { endpointId = "" } = useParams();
  const [filters, narrow] = useFilters("status");
  const manages = useMay("manager");
  const endpoints = useQuery({ ...listEndpointsOptions(), enabled: manages });
  const endpoint = endpoints.data?.items.find(({ id }) => id === endpointId);
  const query = filters as ListDeliveriesData["query"];
  const deliveries = useInfiniteQuery({
    ...listDeliveriesInfiniteOptions({ path: { endpoint_id: endpointId }, query }),
    ...BY_CURSOR,
    initialPageParam: { path: { endpoint_id: endpointId } },
    getNextPageParam: ({ next }) => next ?? undefined,
    ...WORK,
  });
  return (
    <Page
      title={endpoint ? `Deliveries to ${endpoint.url}` : "Deliveries"}
      {...(manages && { back: { to: "/staff/crm", label: "CRM endpoints" } })}
    >
      <Filter label="Status" value={filters.status} onChange={(value) => narrow("status", value)} of={STATUSES} />
      <Pages
        label="Deliveries"
        query={deliveries}
        rows={({ items }) => items}
        columns={manages ? [...COLUMNS, REDELIVER] : COLUMNS}
        empty={
          filters.status
            ? "No delivery has this status."
            : "Nothing was delivered yet. Each event since the endpoint was registered would be here."
        }
      />
    </Page>
  );
}

function Redeliver({ delivery }: { delivery: DeliveryOut }) {
  return (
    <Action
      label="Redeliver"
      title={`Redeliver ${delivery.type}`}
      submit="Redeliver"
      ask={(key) =>
        redeliver({
          path: { endpoint_id: delivery.endpoint_id, delivery_id: delivery.id },
          headers: onceOnly(key),
          throwOnError: true,
        })
      }
    >
      <Group>
        <Text size="sm">It is sent once more under the same id, so that a receiver that had it can tell.</Text>
      </Group>
    </Action>
  );
}
