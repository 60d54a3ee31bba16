import type { EventChange, EventCreate, EventRead, TicketTypeChange } from "../../api/generated";
import { editable, typedMinor } from "../amounts";

export const CURRENCIES = "EUR USD GBP CHF SEK NOK DKK PLN CZK HUF JPY AUD CAD NZD SGD INR ISK UGX".split(" ");

/** What is typed for an event. `id` of a ticket type: it is there already. Percentages and amounts as typed. */
export type Typed = {
  name: string;
  venue: string;
  description: string;
  local_start: string;
  local_end: string;
  timezone: string;
  currency: string;
  ticket_types: TypedTicketType[];
  tiers: { hours_before: string; percent: string }[];
};
export type TypedTicketType = { id?: string; name: string; price: string; tax: string; capacity: string };

export const NEW_TICKET_TYPE: TypedTicketType = { name: "", price: "", tax: "19", capacity: "" };

export const NEW: Typed = {
  name: "",
  venue: "",
  description: "",
  local_start: "",
  local_end: "",
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  currency: "EUR",
  ticket_types: [{ ...NEW_TICKET_TYPE, name: "Standard" }],
  tiers: [
    { hours_before: "48", percent: "100" },
    { hours_before: "24", percent: "50" },
  ],
};

export function typedOf(event: EventRead): Typed {
  return {
    name: event.name,
    venue: event.venue,
    description: event.description ?? "",
    local_start: event.local_start.slice(0, 16),
    local_end: event.local_end.slice(0, 16),
    timezone: event.timezone,
    currency: event.currency,
    ticket_types: event.ticket_types.map((type) => ({
      id: type.id,
      name: type.name,
      price: editable(type.price.amount_minor, event.currency),
      tax: String(type.tax_rate_bp / 100),
      capacity: String(type.capacity),
    })),
    tiers: event.refund_policy.tiers.map((tier) => ({
      hours_before: String(tier.hours_before),
      percent: String(tier.percent),
    })),
  };
}

export const required = (what: string) => (text: string) => (text.trim() ? null : `${what} is needed.`);

export const checks = {
  name: required("A name"),
  venue: required("A venue"),
  local_start: required("A start"),
  local_end: (end: string, typed: Typed) => (end > typed.local_start ? null : "The end must be after the start."),
  ticket_types: {
    name: required("A name"),
    price: (text: string, typed: Typed) =>
      typedMinor(text, typed.currency) === null ? `Not an amount in ${typed.currency}.` : null,
    tax: (text: string) => (basisPoints(text) === null ? "Not a percentage from 0 to 100." : null),
    capacity: (text: string) => (/^\d{1,7}$/.test(text) ? null : "Not a number of seats."),
  },
  tiers: {
    hours_before: (text: string) => (/^\d{1,6}$/.test(text) ? null : "Not a number of hours."),
    percent: (text: string) => (/^\d{1,3}$/.test(text) && Number(text) <= 100 ? null : "Not a percentage."),
  },
};

function basisPoints(text: string): number | null {
  const found = /^(\d{1,3})(?:[.,](\d{1,2}))?$/.exec(text.trim());
  const points = found && Number(found[1] + (found[2] ?? "").padEnd(2, "0"));
  return points !== null && points <= 10_000 ? points : null;
}

const ticketType = (type: TypedTicketType, currency: string) => ({
  name: type.name.trim(),
  price_minor: typedMinor(type.price, currency) ?? 0,
  tax_rate_bp: basisPoints(type.tax) ?? 0,
  capacity: Number(type.capacity),
});

export function toCreate(typed: Typed, published: boolean): EventCreate {
  const { tiers, ticket_types, description, ...facts } = typed;
  return {
    ...facts,
    description: description.trim() || null,
    published,
    ticket_types: ticket_types.map((type) => ticketType(type, typed.currency)),
    refund_policy: {
      tiers: tiers.map((tier) => ({ hours_before: Number(tier.hours_before), percent: Number(tier.percent) })),
    },
  };
}

/** Only what differs, so that saving a form twice changes nothing. */
export function toChange(typed: Typed, event: EventRead): EventChange {
  const before = typedOf(event);
  const facts = (["name", "venue", "local_start", "local_end", "timezone"] as const).filter(
    (field) => typed[field] !== before[field],
  );
  const types = typed.ticket_types.flatMap((type): TicketTypeChange[] => {
    const now = ticketType(type, event.currency);
    if (!type.id) return [now];
    const known = event.ticket_types.find(({ id }) => id === type.id);
    const changed = {
      ...(now.price_minor !== known?.price.amount_minor && { price_minor: now.price_minor }),
      ...(now.capacity !== known?.capacity && { capacity: now.capacity }),
    };
    return Object.keys(changed).length ? [{ id: type.id, ...changed }] : [];
  });
  return {
    ...Object.fromEntries(facts.map((field) => [field, typed[field]])),
    ...(typed.description !== before.description && { description: typed.description.trim() }),
    ticket_types: types,
  };
}
