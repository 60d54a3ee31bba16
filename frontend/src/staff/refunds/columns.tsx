import { Text } from "@mantine/core";
import type { RefundSummary } from "../../api/generated";
import { Amount } from "../layout/Amount";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { StatusBadge, words } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { why } from "./words";

export const REFUND_COLUMNS: Column<RefundSummary>[] = [
  { head: "Refund", cell: ({ id }) => <Ref to={`/staff/refunds/${id}`} id={id} /> },
  { head: "Booking", cell: ({ booking_id }) => <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} /> },
  {
    head: "Status",
    cell: (refund) => (
      <>
        <StatusBadge status={refund.status} />
        <Text size="xs" c="dimmed">
          {[why(refund), refund.has_payout_details && "the customer chose another way"].filter(Boolean).join("; ")}
        </Text>
      </>
    ),
  },
  { head: "Amount", cell: ({ amount }) => <Amount of={amount} />, numeric: true },
  { head: "Reason", cell: ({ reason }) => words(reason), wide: true },
  { head: "Since", cell: ({ updated_at }) => <When at={updated_at} />, wide: true },
];
