import { expect, test } from "vitest";
import type { EventRead } from "../../api/generated";
import { toChange, typedOf } from "./form";

const EVENT = {
  name: "Evening",
  venue: "The Old Cinema",
  description: "Doors at seven",
  local_start: "2031-05-01T20:00:00",
  local_end: "2031-05-01T22:00:00",
  timezone: "Europe/Berlin",
  currency: "EUR",
  ticket_types: [
    { id: "a", name: "Stalls", price: { amount_minor: 2500, currency: "EUR" }, tax_rate_bp: 1900, capacity: 10 },
    { id: "b", name: "Circle", price: { amount_minor: 3000, currency: "EUR" }, tax_rate_bp: 1900, capacity: 20 },
  ],
  refund_policy: { tiers: [] },
} as unknown as EventRead;

test("a form that was not touched changes nothing", () => {
  expect(toChange(typedOf(EVENT), EVENT)).toEqual({ ticket_types: [] });
});

test("an emptied description is taken away, and of a ticket type only what differs is sent", () => {
  const typed = typedOf(EVENT);
  typed.description = " ";
  typed.ticket_types = typed.ticket_types.map((type, at) =>
    at ? { ...type, price: "35" } : { ...type, capacity: "12" },
  );
  expect(toChange(typed, EVENT)).toEqual({
    description: "",
    ticket_types: [
      { id: "a", capacity: 12 },
      { id: "b", price_minor: 3500 },
    ],
  });
});
