import i18next from "i18next";

export type Money = { amount_minor: number; currency: string };

/** The reader's own tag of the chosen language, such as en-GB: it decides about commas and clocks of 12 or 24 hours. */
export function locale(): string {
  return navigator.languages.find((tag) => tag.split("-")[0] === i18next.language) ?? i18next.language;
}

/** "€ 50.00", by the currency's own number of decimals. */
export function money({ amount_minor, currency }: Money): string {
  const format = new Intl.NumberFormat(locale(), { style: "currency", currency });
  return format.format(amount_minor / 10 ** exponent(currency));
}

/** How many decimals the minor unit of a currency has. The API counts ISK and UGX with two, as Stripe does, and they are always zero. */
export function exponent(currency: string): number {
  if (currency === "ISK" || currency === "UGX") return 2;
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** Day and time of an instant on the clocks of `zone`, with the zone's name where `named`. */
export function dateTime(instant: string, zone: string, named = true): string {
  return new Intl.DateTimeFormat(locale(), {
    ...DAY,
    hour: "numeric",
    minute: "2-digit",
    timeZone: zone,
    ...(named && { timeZoneName: "short" }),
  }).format(new Date(instant));
}

/** The time of an instant on the reader's clock. */
export function timeOfDay(instant: string): string {
  return new Intl.DateTimeFormat(locale(), { hour: "numeric", minute: "2-digit" }).format(new Date(instant));
}

const DAY = { weekday: "long", year: "numeric", month: "long", day: "numeric" } as const;

/** Month and day as a calendar's leaf shows them: "Mar", "28". */
export function leaf(instant: string, zone: string): { month: string; day: string } {
  const part = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(locale(), { ...options, timeZone: zone }).format(new Date(instant));
  return { month: part({ month: "short" }), day: part({ day: "numeric" }).replace(/\D/g, "") };
}

/** A date without a time, such as 2027-03-28. */
export function date(iso: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "long", timeZone: "UTC" }).format(new Date(iso));
}

/** From start to end on the clocks of `zone`; the day is said once where both are on it. */
export function span(start: string, end: string, zone: string): string {
  return new Intl.DateTimeFormat(locale(), {
    ...DAY,
    hour: "numeric",
    minute: "2-digit",
    timeZone: zone,
    timeZoneName: "short",
  }).formatRange(new Date(start), new Date(end));
}

/** The zone of the reader's clock, where that shows another time at `instant` than the clocks of `zone`. */
export function otherZone(instant: string, zone: string): string | undefined {
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return dateTime(instant, own, false) === dateTime(instant, zone, false) ? undefined : own;
}

export function number(value: number): string {
  return new Intl.NumberFormat(locale()).format(value);
}

/** A rate in basis points as "19 %", "5.5 %". */
export function rate(basisPoints: number): string {
  return new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 2 }).format(basisPoints / 10_000);
}

/** "100 %" in the reader's way. */
export function percent(value: number): string {
  return rate(value * 100);
}
