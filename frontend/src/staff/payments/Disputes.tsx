import { Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { DisputeRead, DisputeStatus, ListDisputesData } from "../../api/generated";
import { listDisputesInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Amount } from "../layout/Amount";
import { Copyable } from "../layout/Copyable";
import { every, Filter, useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { StatusBadge, words } from "../layout/StatusBadge";
import { When } from "../layout/When";

const STATUSES = every<DisputeStatus>({ inquiry: 1, open: 1, won: 1, lost: 1 });
const DAY_MS = 86_400_000;

const COLUMNS: Column<DisputeRead>[] = [
  { head: "Payment", cell: ({ payment_id }) => <Ref to={`/staff/payments/${payment_id}`} id={payment_id} /> },
  { head: "Booking", cell: ({ booking_id }) => <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} /> },
  { head: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
  { head: "Disputed", cell: ({ amount }) => <Amount of={amount} />, numeric: true },
  {
    head: "Taken",
    cell: ({ amount, withdrawn_minor }) => <Amount of={{ ...amount, amount_minor: withdrawn_minor }} />,
    numeric: true,
    wide: true,
  },
  { head: "Reason", cell: ({ reason }) => words(reason), wide: true },
  { head: "Answer by", cell: (dispute) => <Deadline dispute={dispute} /> },
  {
    head: "At the provider",
    cell: ({ provider_ref }) => <Copyable text={provider_ref} what="the provider's reference" />,
    wide: true,
  },
];

export function Disputes() {
  const [filters, narrow] = useFilters("status");
  const query = filters as ListDisputesData["query"];
  const disputes = useInfiniteQuery({ ...listDisputesInfiniteOptions({ query }), ...BY_CURSOR });
  return (
    <Page title="Disputes">
      <Filter label="Status" value={filters.status} onChange={(value) => narrow("status", value)} of={STATUSES} />
      <Pages
        label="Disputes"
        query={disputes}
        rows={(page) => page.disputes}
        columns={COLUMNS}
        empty={
          filters.status
            ? "No dispute has this status."
            : "No bank disputes a payment. Disputes would be here, each with the day by which the provider wants an answer."
        }
      />
      <Text size="xs" c="dimmed">
        Disputes are answered at the payment provider. While one is open, its payment is not refunded.
      </Text>
    </Page>
  );
}

function Deadline({ dispute: { respond_by, status } }: { dispute: DisputeRead }) {
  if (!respond_by || status === "won" || status === "lost") return null;
  const days = Math.ceil((Date.parse(respond_by) - Date.now()) / DAY_MS);
  return (
    <>
      <When at={respond_by} />
      <Text size="xs" fw={days <= 2 ? 700 : undefined} c={days <= 2 ? "red" : "dimmed"}>
        {days > 0 ? new Intl.RelativeTimeFormat("en").format(days, "day") : "it is over"}
      </Text>
    </>
  );
}
