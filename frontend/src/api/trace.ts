const KEPT_AS = "trace";
let kept: string | undefined;

/**
 * The W3C trace context that a request begins or goes on with: one purchase is one trace from here to its mail, also when the bank's page or a
 * reload comes in between. What books begins it, what pays goes on with it. Anything else is a trace of the service that answers.
 */
export function traceparentOf(method: string, path: string): string | undefined {
  const begins = path === "/api/bookings";
  if (method !== "POST" || !(begins || path.split("/")[2] === "payments")) return undefined;
  const known = begins ? undefined : traceOfThisTab();
  return `00-${known ?? begun()}-${hex(8)}-01`;
}

function begun(): string {
  kept = hex(16);
  try {
    sessionStorage.setItem(KEPT_AS, kept);
  } catch {
    // full or switched off
  }
  return kept;
}

function traceOfThisTab(): string | undefined {
  try {
    return kept ?? sessionStorage.getItem(KEPT_AS) ?? undefined;
  } catch {
    return kept;
  }
}

function hex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
