import { Alert, Skeleton, Stack } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";
import classes from "./Loaded.module.css";
import { Nothing } from "./Nothing";

type Props<Data> = {
  query: Pick<UseQueryResult<Data, unknown>, "data" | "failureReason">;
  children: (data: Data) => ReactNode;
  skeleton?: ReactNode;
};

/** The page of a query's data; while there is none, why. What was loaded stays when a later look fails. */
export function Loaded<Data>({ query, children, skeleton }: Props<Data>) {
  const why = query.failureReason;
  if (query.data === undefined && why instanceof Problem && !why.passing) {
    return why.status === 404 || why.status === 422 ? <Nothing /> : <Alert color="red">{why.message}</Alert>;
  }
  return (
    <>
      {query.data === undefined ? (skeleton ?? <Waiting />) : children(query.data)}
      <Outage why={why} />
    </>
  );
}

/** Says what is away, over the page's foot, so that nothing moves when it comes and goes. */
export function Outage({ why }: { why: unknown }) {
  const { t } = useTranslation();
  return (
    <div role="status" className={classes.outage}>
      {why != null && (
        <Alert color="yellow" className={classes.notice}>
          {t(why instanceof Problem && why.status ? "failure.busy" : "failure.unreachable")}
        </Alert>
      )}
    </div>
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
