import { Alert, Skeleton, Stack } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";
import { Nothing } from "./Nothing";

type Props<Data> = { query: UseQueryResult<Data, unknown>; children: (data: Data) => ReactNode; skeleton?: ReactNode };

/** The page of a query's data; while there is none, why. What was loaded stays when a later look fails. */
export function Loaded<Data>({ query, children, skeleton }: Props<Data>) {
  const { t } = useTranslation();
  const why = query.failureReason;
  if (query.data === undefined && why instanceof Problem && !why.passing) {
    return why.status === 404 ? <Nothing /> : <Alert color="red">{why.message}</Alert>;
  }
  return (
    <Stack>
      {why != null && (
        <Alert color="yellow" role="status">
          {t(why instanceof Problem && why.status ? "failure.busy" : "failure.unreachable")}
        </Alert>
      )}
      {query.data === undefined ? (skeleton ?? <Waiting />) : children(query.data)}
    </Stack>
  );
}

function Waiting() {
  const { t } = useTranslation();
  return (
    <Stack role="status" aria-label={t("loading")} aria-busy>
      <Skeleton h={36} w="60%" />
      <Skeleton h={20} w="40%" />
      <Skeleton h={160} />
    </Stack>
  );
}
