import { Group } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { ListRefundsData, RefundSummary } from "../../api/generated";
import { listRefundsInfiniteOptions, readRefundOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Csv } from "../layout/Csv";
import { Filter, useFilters } from "../layout/filters";
import { WORK } from "../layout/live";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import type { Column } from "../layout/Rows";
import { Views } from "../layout/Views";
import { REFUND_COLUMNS } from "./columns";
import { Decide } from "./Decide";
import { Repair } from "./Repair";
import { STATUSES } from "./words";

const TO_DO: Column<RefundSummary> = { head: "What to do", cell: (refund) => <ToDo refund={refund} /> };

/** All refunds, and those that wait for staff as lists of work. */
export function Refunds() {
  const [filters, narrow] = useFilters("view", "status");
  const { view, status } = filters;
  return (
    <Page title="Refunds" actions={<Csv url="/api/refunds.csv" query={statuses(view, status)} name="refunds.csv" />}>
      <Group gap="xs">
        <Views
          label="Which refunds"
          value={view ?? ""}
          onChange={(value) => narrow("view", value)}
          of={{ "": "All", approval: "To approve", failed: "Failed" }}
        />
        {!view && <Filter label="Status" value={status} onChange={(value) => narrow("status", value)} of={STATUSES} />}
      </Group>
      <List key={view} view={view} status={status} />
    </Page>
  );
}

const EMPTY: Record<string, string> = {
  approval: "Nothing waits for a second person. Refunds above the limit of one person would be here.",
  failed:
    "Every refund arrived or is on its way. Those that the provider or a bank refused, or that a dispute blocks, would be here.",
};

function List({ view, status }: { view: string | undefined; status: string | undefined }) {
  const query = statuses(view, status) as ListRefundsData["query"];
  const refunds = useInfiniteQuery({ ...listRefundsInfiniteOptions({ query }), ...BY_CURSOR, ...(view && WORK) });
  return (
    <Pages
      label="Refunds"
      query={refunds}
      rows={({ items }) => items}
      columns={view ? [...REFUND_COLUMNS, TO_DO] : REFUND_COLUMNS}
      empty={
        EMPTY[view ?? ""] ??
        (status ? "No refund has this status." : "No refund yet. All refunds would be here, the newest first.")
      }
    />
  );
}

function statuses(view: string | undefined, status: string | undefined) {
  if (view === "approval") return { status: ["awaiting_approval"] };
  if (view === "failed") return { status: ["failed", "blocked_by_dispute"] };
  return { status: status ? [status] : [] };
}

/** Who asked for it, and what the customer chose, only the whole refund tells. */
function ToDo({ refund }: { refund: RefundSummary }) {
  const detail = useQuery(readRefundOptions({ path: { refund_id: refund.id } }));
  if (!detail.data) return null;
  return (
    <Group gap={4} wrap="nowrap">
      <Decide refund={detail.data} />
      <Repair refund={detail.data} />
    </Group>
  );
}
