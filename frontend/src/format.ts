import i18next from "i18next";

export type Money = { amount_minor: number; currency: string };

/** "€ 50.00", by the currency's own number of decimals. */
export function money({ amount_minor, currency }: Money): string {
  const format = new Intl.NumberFormat(i18next.language, { style: "currency", currency });
  return format.format(amount_minor / 10 ** exponent(currency));
}

/** How many decimals the minor unit of a currency has. The API counts ISK and UGX with two, as Stripe does, and they are always zero. */
export function exponent(currency: string): number {
  if (currency === "ISK" || currency === "UGX") return 2;
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** Day and time of an instant on the clocks of `zone`, with the zone's name where `named`. */
export function dateTime(instant: string, zone: string, named = true): string {
  return new Intl.DateTimeFormat(i18next.language, {
    dateStyle: "full",
    timeStyle: "short",
    timeZone: zone,
    ...(named && { dateStyle: undefined, timeStyle: undefined, ...LONG, timeZoneName: "short" }),
  }).format(new Date(instant));
}

const LONG = {
  weekday: "long",
  year: "numeric",
  month: "long",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
} as const;

export function number(value: number): string {
  return new Intl.NumberFormat(i18next.language).format(value);
}
