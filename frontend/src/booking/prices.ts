/** The tax within a gross price, as booking reckons it: what is left above the net price, which is rounded half up. */
export function taxIncluded(grossMinor: number, rateBp: number): number {
  const divisor = 10_000 + rateBp;
  return grossMinor - Math.floor((2 * grossMinor * 10_000 + divisor) / (2 * divisor));
}

/** Tickets of one kind and price. */
export type Position = {
  name: string;
  quantity: number;
  /** How many of them were given back since. */
  returned: number;
  gross_minor: number;
  tax_minor: number;
  tax_rate_bp: number;
};

type Priced = Omit<Position, "quantity" | "returned"> & { cancelled_at?: string | null };

/** Tickets as the positions of a bill, in their order; the amounts are those of all tickets of a position. */
export function positions(tickets: readonly Priced[]): Position[] {
  const found = new Map<string, Position>();
  for (const { name, gross_minor, tax_minor, tax_rate_bp, cancelled_at } of tickets) {
    const alike = JSON.stringify([name, gross_minor, tax_rate_bp]);
    const position = found.get(alike) ?? { name, quantity: 0, returned: 0, gross_minor: 0, tax_minor: 0, tax_rate_bp };
    position.quantity += 1;
    if (cancelled_at) position.returned += 1;
    position.gross_minor += gross_minor;
    position.tax_minor += tax_minor;
    found.set(alike, position);
  }
  return [...found.values()];
}

/** Gross and tax by rate, the highest rate first. */
export function byRate(bill: readonly Position[]): { tax_rate_bp: number; gross_minor: number; tax_minor: number }[] {
  const rates = [...new Set(bill.map((position) => position.tax_rate_bp))].sort((one, other) => other - one);
  return rates.map((tax_rate_bp) => {
    const taxed = bill.filter((position) => position.tax_rate_bp === tax_rate_bp);
    return { tax_rate_bp, gross_minor: sum(taxed, "gross_minor"), tax_minor: sum(taxed, "tax_minor") };
  });
}

export function sum<Name extends string>(parts: readonly Record<Name, number>[], name: Name): number {
  return parts.reduce((total, part) => total + part[name], 0);
}
