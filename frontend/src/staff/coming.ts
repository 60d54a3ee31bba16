import { queryOptions } from "@tanstack/react-query";
import { client } from "../api/generated/client.gen";

export type TimelineEntry = { at: string; what: string; by: string | null; detail: Record<string, unknown> };
export type Timeline = { items: TimelineEntry[] };

export const timelineOptions = (of: "bookings" | "payments" | "refunds", id: string) =>
  queryOptions({
    queryKey: ["timeline", of, id],
    queryFn: async ({ signal }) => {
      const security = [{ scheme: "bearer", type: "http" }] as const;
      const { data } = await client.get({ url: `/api/${of}/${id}/timeline`, signal, security, throwOnError: true });
      return data as Timeline;
    },
  });
