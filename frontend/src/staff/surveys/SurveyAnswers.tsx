import { Checkbox } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { listSurveyAnswersInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { ANSWER_COLUMNS, LOW } from "./columns";

/** What buyers answered in the satisfaction surveys. */
export function SurveyAnswers() {
  const [{ max_score }, narrow] = useFilters("max_score");
  const query = max_score ? { max_score: Number(max_score) } : {};
  const answers = useInfiniteQuery({ ...listSurveyAnswersInfiniteOptions({ query }), ...BY_CURSOR });
  return (
    <Page title="Survey answers">
      <Checkbox
        size="xs"
        label={`Low scores only, ${LOW} or less`}
        checked={Boolean(max_score)}
        onChange={(event) => narrow("max_score", event.currentTarget.checked ? String(LOW) : "")}
      />
      <Pages
        label="Survey answers"
        query={answers}
        rows={({ items }) => items}
        columns={ANSWER_COLUMNS}
        empty={
          max_score
            ? "No answer has a low score."
            : "Here is what buyers answer, the newest first, once a mail has asked them how an event or a refund was."
        }
      />
    </Page>
  );
}
