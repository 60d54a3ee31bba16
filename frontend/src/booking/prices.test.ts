import { expect, test } from "vitest";
import { byRate, positions, taxIncluded } from "./prices";

test.each([
  [2500, 1900, 399],
  [1250, 700, 82],
  [999, 0, 0],
  [1, 1900, 0],
])("of %i at %i basis points %i is tax", (gross, rate, tax) => {
  expect(taxIncluded(gross, rate)).toBe(tax);
});

test("tickets of one name, price and rate are one position", () => {
  const seat = { name: "Seat", gross_minor: 2500, tax_minor: 399, tax_rate_bp: 1900 };
  const child = { name: "Child", gross_minor: 1250, tax_minor: 82, tax_rate_bp: 700 };
  const bill = positions([seat, child, { ...seat, cancelled_at: "2027-01-01T10:00:00Z" }]);
  expect(bill.map(({ name, quantity, returned, gross_minor }) => [name, quantity, returned, gross_minor])).toEqual([
    ["Seat", 2, 1, 5000],
    ["Child", 1, 0, 1250],
  ]);
  expect(byRate(bill)).toEqual([
    { tax_rate_bp: 1900, gross_minor: 5000, tax_minor: 798 },
    { tax_rate_bp: 700, gross_minor: 1250, tax_minor: 82 },
  ]);
});
