import { Alert, Skeleton, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Problem } from "../../api/client";
import { Refusal } from "./Refusal";

type Query<Data> = Pick<UseQueryResult<Data, unknown>, "data" | "failureReason">;
type Props<Data> = {
  query: Query<Data>;
  children: (data: Data) => ReactNode;
  /** What it is, where a place has several parts that may be away. */
  what?: string;
  /** Said where the service does not know it, such as what it has not heard of yet. */
  missing?: string;
};

/**
 * A part of a place, as far as its service tells it. One that is away leaves a note in the part and none of the others blank; what was
 * loaded stays.
 */
export function Known<Data>({ query, children, what = "This", missing }: Props<Data>) {
  const { data, failureReason: why } = query;
  if (data === undefined && why instanceof Problem && !why.passing) {
    return missing && why.status === 404 ? <Said>{missing}</Said> : <Refusal error={why} />;
  }
  return (
    <Stack gap="xs">
      {why != null && <Away>{data === undefined ? what : `What is new of ${what.toLowerCase()}`}</Away>}
      {data !== undefined ? children(data) : why == null && <Skeleton h={60} role="status" aria-label="Loading" />}
    </Stack>
  );
}

/** That a service does not answer; `children` is what it would tell. */
export function Away({ children }: { children: string }) {
  return (
    <Alert color="yellow" role="status" p="xs">
      {children} is not available right now. This page asks again by itself.
    </Alert>
  );
}

/** A sentence where there is nothing to show. */
export function Said({ children, busy }: { children: ReactNode; busy?: boolean | undefined }) {
  return (
    <Text c="dimmed" size="sm" py="xs" aria-busy={busy}>
      {children}
    </Text>
  );
}

/** Whether a whole place has nothing to show: its service knows of no such thing. */
export function isMissing({ data, failureReason: why }: Query<unknown>): boolean {
  return data === undefined && why instanceof Problem && (why.status === 404 || why.status === 422);
}
