import { Text } from "@mantine/core";
import type { SurveyAnswered } from "../../api/generated";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { When } from "../layout/When";

/** The best of the scores that are low: 1, very bad, and 2, bad. */
export const LOW = 2;

export const ANSWER_COLUMNS: Column<SurveyAnswered>[] = [
  {
    head: "Score",
    cell: ({ score }) => (
      <Text
        span
        inherit
        fw={600}
        c={score <= LOW ? "var(--mantine-color-error)" : undefined}
        style={{ whiteSpace: "nowrap" }}
      >
        {score} of 5
      </Text>
    ),
  },
  { head: "About", cell: ({ kind }) => `the ${kind}` },
  {
    head: "Comment",
    cell: ({ comment }) => (
      <Text span inherit style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
        {comment}
      </Text>
    ),
  },
  { head: "Booking", cell: ({ booking_id }) => <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} /> },
  { head: "Answered", cell: ({ answered_at }) => <When at={answered_at} />, wide: true },
];
