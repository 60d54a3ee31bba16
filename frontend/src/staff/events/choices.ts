import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { type EventPage, type ListEventsData, listEvents } from "../../api/generated";

const MOST = 20;

/** A few events that fit what is typed: those to come by their start, then those that are over, the latest first. `more`: there are others. */
export const choicesQuery = (typed: string) =>
  queryOptions({
    queryKey: ["events to choose from", typed],
    staleTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const q = typed || null;
      const [coming, latest] = await Promise.all([
        page({ q, limit: MOST }, signal),
        page({ q, limit: MOST, ended: true, latest_first: true }, signal),
      ]);
      const over = latest.items.filter(({ ends_at }) => Date.parse(ends_at) <= Date.now());
      const more = coming.next_cursor !== null || latest.next_cursor !== null;
      return { events: [...coming.items, ...over.slice(0, MOST - coming.items.length)], more };
    },
  });

async function page(query: ListEventsData["query"], signal: AbortSignal): Promise<EventPage> {
  const { data } = await listEvents({ query, signal, throwOnError: true });
  return data;
}
