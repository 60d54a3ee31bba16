import { exponent } from "../../format";

/** What somebody typed as minor units: "12", "12.5" or "12,50" of EUR; null for what is no positive amount of the currency. */
export function typed(text: string, currency: string): number | null {
  const decimals = exponent(currency);
  const parts = /^(\d{1,8})(?:[.,](\d+))?$/.exec(text.trim());
  if (!parts) return null;
  const fraction = parts[2] ?? "";
  if (fraction.length > decimals) return null;
  const minor = Number(parts[1]) * 10 ** decimals + Number(fraction.padEnd(decimals, "0") || 0);
  return minor > 0 ? minor : null;
}

/** The same amount as one would type it. */
export function plain(minor: number, currency: string): string {
  const decimals = exponent(currency);
  if (!decimals) return String(minor);
  const digits = String(minor).padStart(decimals + 1, "0");
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}
