import { QueryCache, QueryClient } from "@tanstack/react-query";
import { client } from "./generated/client.gen";
import { traceparentOf } from "./trace";

/** A refusal of the API (RFC 9457). `status` 0: nobody answered. The rest is what the problem says beside, such as `state` or `errors`. */
export class Problem extends Error {
  readonly status: number;
  readonly retryAfterS: number | undefined;
  readonly facts: Record<string, unknown>;

  constructor(status: number, detail: string, facts: Record<string, unknown> = {}, retryAfterS?: number) {
    super(detail);
    this.status = status;
    this.facts = facts;
    this.retryAfterS = retryAfterS;
  }

  /** Another try may succeed without anybody changing anything. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** Sentences by field of what was sent. */
  get fields(): Record<string, string> {
    const errors = (this.facts.errors ?? []) as { field: string; message: string }[];
    return Object.fromEntries(errors.map(({ field, message }) => [field, message]));
  }
}

client.setConfig({ baseUrl: "", throwOnError: true });
client.interceptors.request.use((request) => {
  const traceparent = traceparentOf(request.method, new URL(request.url).pathname);
  if (traceparent) request.headers.set("traceparent", traceparent);
  return request;
});
client.interceptors.error.use((error, response) => {
  if (!response) return new Problem(0, "");
  const facts = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  const wait = Number(response.headers.get("Retry-After"));
  return new Problem(response.status, String(facts.detail ?? ""), facts, wait || undefined);
});

/** Repeats what may pass, less and less often, for as long as the page is open: pages recover by themselves. */
export const queries = new QueryClient({
  queryCache: new QueryCache(),
  defaultOptions: {
    queries: {
      retry: (_, error) => error instanceof Problem && error.passing,
      retryDelay: (failures, error) =>
        Math.max(((error as Problem).retryAfterS ?? 0) * 1000, Math.min(1000 * 2 ** failures, 15_000)),
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

/** The header that makes a repeated request the same request. Make one for each thing that a person asks for, not for each try. */
export const onceOnly = (key: string) => ({ "Idempotency-Key": key });
