import { Group } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { ListPaymentsData, PaymentStatus } from "../../api/generated";
import { listPaymentsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Csv } from "../layout/Csv";
import { every, Filter, useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { PAYMENT_COLUMNS } from "./columns";

const STATUSES = every<PaymentStatus>({
  created: 1,
  requires_payment_method: 1,
  requires_action: 1,
  processing: 1,
  authorized: 1,
  capturing: 1,
  succeeded: 1,
  voided: 1,
  failed: 1,
  unknown: 1,
  in_review: 1,
});

export function Payments() {
  const [filters, narrow] = useFilters("status");
  const query = filters as ListPaymentsData["query"];
  const payments = useInfiniteQuery({ ...listPaymentsInfiniteOptions({ query }), ...BY_CURSOR });
  return (
    <Page title="Payments" actions={<Csv url="/api/payments.csv" query={filters} name="payments.csv" />}>
      <Group gap="xs">
        <Filter label="Status" value={filters.status} onChange={(value) => narrow("status", value)} of={STATUSES} />
      </Group>
      <Pages
        label="Payments"
        query={payments}
        rows={(page) => page.payments}
        columns={PAYMENT_COLUMNS}
        empty={
          filters.status
            ? "No payment has this status."
            : "Here are all payments, the newest first, once somebody books."
        }
      />
    </Page>
  );
}
