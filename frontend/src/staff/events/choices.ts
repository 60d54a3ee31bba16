import { queryOptions } from "@tanstack/react-query";
import { type EventPage, type EventRead, type ListEventsData, listEvents } from "../../api/generated";

const PAGES_MOST = 5;

/** Some hundreds of events to choose one from: those to come by their start, then those that are over, the latest first. */
export const choicesQuery = queryOptions({
  queryKey: ["events to choose from"],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    const coming = await pages(false, signal);
    const known = new Set(coming.map(({ id }) => id));
    const all = await pages(true, signal);
    return [...coming, ...all.filter(({ id }) => !known.has(id)).reverse()];
  },
});

async function pages(ended: boolean, signal: AbortSignal): Promise<EventRead[]> {
  const found: EventRead[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MOST; page++) {
    const read: EventPage = await onePage({ ended, limit: 100, ...(cursor !== null && { cursor }) }, signal);
    found.push(...read.items);
    cursor = read.next_cursor;
    if (cursor === null) break;
  }
  return found;
}

async function onePage(query: ListEventsData["query"], signal: AbortSignal): Promise<EventPage> {
  const { data } = await listEvents({ query, signal, throwOnError: true });
  return data;
}
