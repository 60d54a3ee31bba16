import { Button, Group, Text } from "@mantine/core";
import { type InfiniteData, keepPreviousData, type UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Known } from "./Known";
import { Refusal } from "./Refusal";
import { type Column, Rows } from "./Rows";

/** Spread into useInfiniteQuery beside the generated options of a list. What was shown stays until other filters have their answer. */
export const BY_CURSOR = {
  initialPageParam: {},
  getNextPageParam: (page: { next_cursor: string | null }) => page.next_cursor ?? undefined,
  placeholderData: keepPreviousData,
};

type Props<Page, Row> = {
  label: string;
  query: UseInfiniteQueryResult<InfiniteData<Page>, unknown>;
  rows: (page: Page) => Row[];
  columns: Column<Row>[];
  empty: ReactNode;
};

/** A list that comes page by page, with a button for more. */
export function Pages<Page, Row extends { id: string }>({ query, rows, ...table }: Props<Page, Row>) {
  return (
    <Known query={query}>
      {({ pages }) => {
        const all = pages.flatMap(rows);
        return (
          <>
            <Rows rows={all} busy={query.isPlaceholderData} {...table} />
            {all.length > 0 && (
              <Group justify="space-between">
                <Text size="sm" c="dimmed" role="status">
                  {query.hasNextPage ? `The first ${all.length}` : `All ${all.length}`}
                </Text>
                {query.hasNextPage && (
                  <Button
                    size="xs"
                    variant="default"
                    onClick={() => query.fetchNextPage()}
                    loading={query.isFetchingNextPage}
                  >
                    Show more
                  </Button>
                )}
              </Group>
            )}
            {query.isFetchNextPageError && <Refusal error={query.error} />}
          </>
        );
      }}
    </Known>
  );
}
