import { exponent } from "../format";

/** Minor units of an amount as it is typed, "12.5" or "12,50"; null where it is none that the currency has. */
export function typedMinor(text: string, currency: string): number | null {
  const decimals = exponent(currency);
  const found = /^(\d{1,12})(?:[.,](\d*))?$/.exec(text.trim());
  const fraction = found?.[2] ?? "";
  if (!found || fraction.length > decimals) return null;
  return Number(found[1] + fraction.padEnd(decimals, "0"));
}

/** The same back, for a field that is to be edited. */
export function editable(minor: number, currency: string): string {
  const decimals = exponent(currency);
  const digits = String(minor).padStart(decimals + 1, "0");
  return decimals ? `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}` : digits;
}
