import { useQuery } from "@tanstack/react-query";
import { listSurveyAnswersOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Known } from "../layout/Known";
import { LIVE } from "../layout/live";
import { Part } from "../layout/Part";
import { Rows, without } from "../layout/Rows";
import { ANSWER_COLUMNS } from "./columns";

/** What the buyer of a booking answered: at most one answer about the event and one about a refund. */
export function BookingAnswers({ bookingId }: { bookingId: string }) {
  const answers = useQuery({ ...listSurveyAnswersOptions({ query: { booking_id: bookingId } }), ...LIVE });
  return (
    <Part title="Survey answers">
      <Known query={answers}>
        {({ items }) => (
          <Rows
            label="Survey answers"
            rows={items}
            columns={without(ANSWER_COLUMNS, "Booking")}
            empty="No answer. A mail asks after the event, and after a refund, how it was."
          />
        )}
      </Known>
    </Part>
  );
}
