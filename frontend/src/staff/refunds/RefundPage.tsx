import { Grid, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import type { RefundDetail } from "../../api/generated";
import { readRefundOptions, readRefundTimelineOptions } from "../../api/generated/@tanstack/react-query.gen";
import { money } from "../../format";
import { Amount } from "../layout/Amount";
import { Entries } from "../layout/Entries";
import { isMissing, Known } from "../layout/Known";
import { LIVE } from "../layout/live";
import { Missing } from "../layout/Missing";
import { Page } from "../layout/Page";
import { Part } from "../layout/Part";
import { type Column, Rows } from "../layout/Rows";
import { told } from "../layout/timeline";
import { Decide } from "./Decide";
import { Payout } from "./Payout";
import { RefundFacts } from "./RefundFacts";
import { Repair } from "./Repair";

const BACK = { to: "/staff/refunds", label: "Refunds" };

export function RefundPage() {
  const { refundId = "" } = useParams();
  const refund = useQuery({ ...readRefundOptions({ path: { refund_id: refundId } }), ...LIVE });
  const timeline = useQuery({ ...readRefundTimelineOptions({ path: { refund_id: refundId } }), ...LIVE });
  const found = refund.data;
  if (isMissing(refund)) return <Missing what="Refund" back={BACK} />;
  return (
    <Page
      title={found ? `Refund of ${money(found.amount)}` : "Refund"}
      back={BACK}
      actions={
        found && (
          <>
            <Decide refund={found} />
            <Repair refund={found} />
          </>
        )
      }
    >
      <Grid gap="sm">
        <Grid.Col span={{ base: 12, lg: 6 }}>
          <Stack gap="sm">
            <Part title="Refund">
              <Known query={refund}>{(detail) => <RefundFacts refund={detail} />}</Known>
            </Part>
            {found && (found.status === "failed" || found.has_payout_details) && (
              <Part title="Another way">
                <Payout of={found} />
              </Part>
            )}
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 6 }}>
          <Stack gap="sm">
            {found && <Arithmetic refund={found} />}
            <Part title="Timeline">
              <Known query={timeline}>{({ items }) => <Entries of={told("refund", refundId, items)} />}</Known>
            </Part>
          </Stack>
        </Grid.Col>
      </Grid>
    </Page>
  );
}

/** How the amount came about, ticket by ticket, as it was decided. */
function Arithmetic({ refund }: { refund: RefundDetail }) {
  const { currency } = refund.amount;
  const names = new Map(refund.trace.case.lines.map(({ line_id, name }) => [line_id, name]));
  const columns: Column<Share>[] = [
    { head: "Ticket", cell: ({ line_id }) => names.get(line_id) },
    {
      head: "Goes back",
      cell: ({ refund_minor }) => <Amount of={{ amount_minor: refund_minor, currency }} />,
      numeric: true,
    },
    { head: "How", cell: ({ arithmetic }) => arithmetic },
  ];
  return (
    <Part title="How the amount came about">
      <Rows
        label="Shares of the tickets"
        rows={refund.trace.lines.map((share) => ({ ...share, id: share.line_id }))}
        columns={columns}
        empty="It is of no ticket."
      />
    </Part>
  );
}

type Share = RefundDetail["trace"]["lines"][number] & { id: string };
