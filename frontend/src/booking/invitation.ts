import { queryOptions } from "@tanstack/react-query";
import { useEffect } from "react";
import { useLocation, useNavigate } from "react-router";
import { readSurvey, type SurveyRead } from "../api/generated";

/** What a survey's mail brings: the token that opens it, and the answer that the link had chosen, which is not given by that. */
export type Invitation = { token?: string; score?: number };

/** Takes it from the address, where addresses are copied and shown, and keeps it with this place in the tab's history. */
export function useInvitation(): Invitation {
  const { hash, pathname, state } = useLocation();
  const navigate = useNavigate();
  const invitation = hash ? read(hash) : ((state as Invitation | null) ?? {});
  useEffect(() => {
    if (hash) navigate(pathname, { replace: true, state: read(hash) });
  }, [hash, pathname, navigate]);
  return invitation;
}

function read(hash: string): Invitation {
  const brought = new URLSearchParams(hash.slice(1));
  const token = brought.get("token");
  const score = Number(brought.get("score"));
  return { ...(token && { token }), ...(SCALE[score - 1] && { score }) };
}

/** What the scores mean, from 1 on. */
export const SCALE = ["veryBad", "bad", "fair", "good", "veryGood"] as const;

export const surveyQuery = (surveyId: string, token: string) =>
  queryOptions({
    queryKey: ["survey", surveyId, token],
    queryFn: async ({ signal }): Promise<SurveyRead> => {
      const { data } = await readSurvey({ path: { survey_id: surveyId }, auth: token, signal, throwOnError: true });
      return data;
    },
    refetchOnWindowFocus: false,
  });
