import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import type { DeliveryOut, NotificationOut } from "../api/generated";
import { client } from "../api/generated/client.gen";

const SECURITY = [{ scheme: "bearer", type: "http" }] as const;

async function get<Answer>(url: string, query: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Answer> {
  const { data } = await client.get({ url, query, signal, security: SECURITY, throwOnError: true });
  return data as Answer;
}

export async function post<Answer>(url: string, key: string, body: unknown = {}): Promise<Answer> {
  const headers = { "Idempotency-Key": key, "Content-Type": "application/json" };
  const { data } = await client.post({ url, body, headers, security: SECURITY, throwOnError: true });
  return data as Answer;
}

export type TimelineEntry = { at: string; what: string; by: string | null; detail: Record<string, unknown> };
export type Timeline = { items: TimelineEntry[] };
type Page<Item> = { items: Item[]; next_cursor: string | null };
type Filters = Record<string, unknown>;

export const timelineOptions = (of: "bookings" | "payments" | "refunds", id: string) =>
  queryOptions({
    queryKey: ["timeline", of, id],
    queryFn: ({ signal }) => get<Timeline>(`/api/${of}/${id}/timeline`, {}, signal),
  });

const pages = <Item>(url: string, filters: Filters) =>
  infiniteQueryOptions({
    queryKey: [url, filters],
    initialPageParam: {} as unknown,
    queryFn: ({ signal, pageParam }) =>
      get<Page<Item>>(url, typeof pageParam === "string" ? { ...filters, cursor: pageParam } : filters, signal),
    getNextPageParam: (page: Page<Item>) => page.next_cursor ?? undefined,
  });

export const mailPages = (filters: Filters) => pages<NotificationOut>("/api/notifications", filters);
export const deliveriesOf = (bookingId: string) =>
  queryOptions({
    queryKey: ["deliveries", bookingId],
    queryFn: ({ signal }) =>
      get<{ items: DeliveryOut[] }>("/api/webhook-deliveries", { booking_id: bookingId }, signal),
  });
