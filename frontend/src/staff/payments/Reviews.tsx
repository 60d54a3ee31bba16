import { Group, Text, Textarea } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { onceOnly } from "../../api/client";
import {
  approvePaymentReview,
  type ListPaymentReviewsData,
  type ReviewRead,
  rejectPaymentReview,
} from "../../api/generated";
import { listPaymentReviewsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { money } from "../../format";
import { Amount } from "../layout/Amount";
import { Action } from "../layout/Ask";
import { useFilters } from "../layout/filters";
import { WORK } from "../layout/live";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { Views } from "../layout/Views";
import { When } from "../layout/When";
import { useMay } from "../who";
import { because } from "./because";
import { methodOf } from "./columns";

const COLUMNS: Column<ReviewRead>[] = [
  { head: "Payment", cell: ({ payment_id }) => <Ref to={`/staff/payments/${payment_id}`} id={payment_id} /> },
  { head: "Booking", cell: ({ booking_id }) => <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} /> },
  { head: "Amount", cell: ({ amount }) => <Amount of={amount} />, numeric: true },
  {
    head: "Held because",
    cell: (review) => because(review).map((sentence) => <div key={sentence}>{sentence}</div>),
  },
  { head: "Method", cell: ({ method }) => methodOf(method), wide: true },
  { head: "Since", cell: ({ opened_at }) => <When at={opened_at} />, wide: true },
];

const DECIDED: Column<ReviewRead>[] = [
  { head: "Decided by", cell: ({ decided_by }) => decided_by },
  { head: "At", cell: ({ decided_at }) => decided_at && <When at={decided_at} />, wide: true },
  { head: "Note", cell: ({ note }) => note },
];

const EMPTY: Record<string, string> = {
  open: "No payment waits for a person. Those that a fraud rule holds would be here.",
  approved: "No review was approved yet.",
  rejected: "No review was rejected yet.",
};

/** Payments that are held until a person has looked at them. */
export function Reviews() {
  const [{ status = "open" }, narrow] = useFilters("status");
  const mayDecide = useMay("refunder");
  const query = { status } as ListPaymentReviewsData["query"];
  const reviews = useInfiniteQuery({ ...listPaymentReviewsInfiniteOptions({ query }), ...BY_CURSOR, ...WORK });
  const decide: Column<ReviewRead>[] = mayDecide
    ? [{ head: "What to do", cell: (review) => <Decide review={review} /> }]
    : [];
  return (
    <Page title="Payment reviews">
      <Views
        label="Which reviews"
        value={status}
        onChange={(value) => narrow("status", value)}
        of={{ open: "Open", approved: "Approved", rejected: "Rejected" }}
      />
      <Pages
        key={status}
        label="Payment reviews"
        query={reviews}
        rows={({ items }) => items}
        columns={[...COLUMNS, ...(status === "open" ? decide : DECIDED)]}
        empty={EMPTY[status]}
      />
    </Page>
  );
}

function Decide({ review }: { review: ReviewRead }) {
  const decide = (verdict: typeof approvePaymentReview) => (key: string, fields: FormData) =>
    verdict({
      path: { payment_id: review.payment_id },
      body: { review_id: review.id, note: String(fields.get("note")).trim() || null },
      headers: onceOnly(key),
      throwOnError: true,
    });
  const amount = money(review.amount);
  return (
    <Group gap={4} wrap="nowrap">
      <Action
        label="Approve"
        title={`Approve the payment of ${amount}`}
        submit="Approve"
        ask={decide(approvePaymentReview)}
      >
        <Text size="sm">
          The booking goes on: if its seats are free, the amount is charged and the tickets are sent.
        </Text>
        <Note />
      </Action>
      <Action
        label="Reject"
        title={`Reject the payment of ${amount}`}
        submit="Reject"
        color="red"
        ask={decide(rejectPaymentReview)}
      >
        <Text size="sm">
          The seats come free. What was reserved on the card is let go; what was charged already goes back in full.
        </Text>
        <Note />
      </Action>
    </Group>
  );
}

function Note() {
  return (
    <Textarea size="xs" name="note" label="Note" description="For colleagues." maxLength={1000} autosize minRows={2} />
  );
}
