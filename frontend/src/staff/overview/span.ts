/** Days are ISO dates, such as 2026-11-25. */

export const LOCAL_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
export const ZONES = [...new Set([LOCAL_ZONE, "UTC", ...Intl.supportedValuesOf("timeZone")])];

const iso = (date: Date) =>
  new Date(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())).toISOString().slice(0, 10);

export function daysAgo(days: number): string {
  const now = new Date();
  return iso(new Date(now.getFullYear(), now.getMonth(), now.getDate() - days));
}

export function dayAfter(day: string): string {
  return new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);
}

/** Every day from `since` to `last`, both included. */
export function daysOf(since: string, last: string): string[] {
  const days: string[] = [];
  for (let day = since; day <= last; day = dayAfter(day)) days.push(day);
  return days;
}
