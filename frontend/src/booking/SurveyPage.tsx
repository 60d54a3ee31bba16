import { Alert, Anchor, Button, Group, Radio, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { Problem } from "../api/client";
import { answerSurvey, type SurveyRead } from "../api/generated";
import { Loaded } from "../layout/Loaded";
import { PageTitle } from "../layout/PageTitle";
import { SCALE, surveyQuery, useInvitation } from "./invitation";
import { worthTrying } from "./queries";

const COMMENT_MOST = 1000;

/** One question. Whoever opens it has answered nothing yet: mail scanners open links as well. */
export function SurveyPage() {
  const { surveyId = "" } = useParams();
  const { token, score } = useInvitation();
  if (!token) return <Unopened />;
  return <Opened key={`${surveyId} ${token}`} surveyId={surveyId} token={token} chosen={score} />;
}

type OpenedProps = { surveyId: string; token: string; chosen: number | undefined };

function Opened({ surveyId, token, chosen }: OpenedProps) {
  const survey = useQuery(surveyQuery(surveyId, token));
  const why = survey.failureReason;
  if (!survey.data && why instanceof Problem && !why.passing) return <Unopened />;
  return (
    <Loaded query={survey}>
      {(found) =>
        found.is_open ? (
          <Question survey={found} surveyId={surveyId} token={token} chosen={chosen} />
        ) : (
          <Closed survey={found} />
        )
      }
    </Loaded>
  );
}

function Question({ survey, surveyId, token, chosen }: OpenedProps & { survey: SurveyRead }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [score, setScore] = useState(chosen ?? survey.score);
  const [comment, setComment] = useState("");
  const [missing, setMissing] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const sending = useMutation({
    mutationFn: async (body: { score: number; comment: string | null }) => {
      const { data } = await answerSurvey({ path: { survey_id: surveyId }, body, auth: token, throwOnError: true });
      return data;
    },
    retry: worthTrying,
    onSuccess: (answered) => cache.setQueryData(surveyQuery(surveyId, token).queryKey, answered),
  });

  function send(submitted: FormEvent) {
    submitted.preventDefault();
    setMissing(!score);
    if (!score) form.current?.querySelector<HTMLInputElement>("input[type=radio]")?.focus();
    else if (!sending.isPending) sending.mutate({ score, comment: comment.trim() || null });
  }

  const about = { event: survey.event_name };
  if (sending.isSuccess) {
    return (
      <Stack maw={560} align="flex-start">
        <PageTitle key="thanks">{t("survey.thanks")}</PageTitle>
        <Text role="status">{t("survey.saved", { score })}</Text>
        <Button variant="default" onClick={() => sending.reset()}>
          {t("survey.change")}
        </Button>
        <Anchor component={Link} to="/">
          {t("nothing.home")}
        </Anchor>
      </Stack>
    );
  }
  return (
    <form ref={form} onSubmit={send} noValidate>
      <Stack maw={560}>
        <PageTitle key="question">{t(`survey.${survey.kind}.title`, about)}</PageTitle>
        <Text>{t(`survey.${survey.kind}.text`, about)}</Text>
        {survey.answered_at && <Alert color="blue">{t("survey.answered", { score: survey.score })}</Alert>}
        <Radio.Group
          name="score"
          label={t("survey.question")}
          size="md"
          required
          value={score ? String(score) : null}
          error={missing && !score ? t("survey.missing") : undefined}
          onChange={(value) => setScore(Number(value))}
        >
          <Stack gap="sm" my="sm">
            {SCALE.map((meaning, at) => (
              <Radio key={meaning} value={String(at + 1)} size="md" label={t(`survey.scale.${meaning}`)} />
            ))}
          </Stack>
        </Radio.Group>
        <Textarea
          label={t("survey.comment")}
          description={t("survey.commentText")}
          name="comment"
          size="md"
          autosize
          minRows={3}
          maxRows={12}
          maxLength={COMMENT_MOST}
          value={comment}
          onChange={(typed) => setComment(typed.currentTarget.value)}
        />
        {sending.error != null && (
          <Alert color="red" role="alert">
            {sending.error instanceof Problem && !sending.error.passing ? sending.error.message : t("survey.failed")}
          </Alert>
        )}
        <Group>
          <Button type="submit" size="lg" loading={sending.isPending}>
            {t("survey.send")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Closed({ survey }: { survey: SurveyRead }) {
  const { t } = useTranslation();
  return (
    <Stack maw={560}>
      <PageTitle>{t("survey.closed")}</PageTitle>
      <Text>{survey.score ? t("survey.closedAnswered", { score: survey.score }) : t("survey.closedText")}</Text>
    </Stack>
  );
}

/** Nothing here says whether there is a survey at this address. */
function Unopened() {
  const { t } = useTranslation();
  return (
    <Stack maw={560}>
      <PageTitle>{t("survey.unopened")}</PageTitle>
      <Text>{t("survey.unopenedText")}</Text>
    </Stack>
  );
}
