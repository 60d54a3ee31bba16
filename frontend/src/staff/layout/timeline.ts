import type { DeliveryOut, NotificationOut } from "../../api/generated";
import { type Money, money } from "../../format";
import { words } from "./StatusBadge";
import { short } from "./When";

export const SERVICES = ["booking", "payment", "refund", "mail", "CRM"] as const;
export type Service = (typeof SERVICES)[number];

/** One line of a booking's timeline. `to` is where more of it stands; `ids` are for who looks for it elsewhere. */
export type Entry = {
  key: string;
  at: string;
  service: Service;
  what: string;
  by: string | null;
  more: string;
  ids?: string;
  to?: string;
};

type Told = { at: string; what: string; by: string | null; detail: Record<string, unknown> };

/** All entries by time; what happened at one instant in the order in which services hear of each other. */
export function merged(entries: Entry[]): Entry[] {
  const rank = (entry: Entry) => SERVICES.indexOf(entry.service);
  return entries.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at) || rank(one) - rank(other));
}

/** Of a service's own timeline; `id` is what it is the timeline of. */
export function told(service: Service, id: string, items: Told[] = [], to?: string): Entry[] {
  return items.map(({ at, what, by, detail }, index) => ({
    key: `${id}/${index}`,
    at,
    service,
    what: words(what),
    by,
    ...parted(detail),
    ...(to && { to }),
  }));
}

export function mailed(mail: NotificationOut): Entry {
  return {
    key: mail.id,
    at: mail.sent_at ?? mail.created_at,
    service: "mail",
    what: `"${words(mail.template)}" ${mail.status}`,
    by: null,
    more: [mail.for_staff && "to staff", mail.last_error].filter(Boolean).join(", "),
  };
}

export function delivered(delivery: DeliveryOut): Entry {
  return {
    key: delivery.id,
    at: delivery.delivered_at ?? delivery.created_at,
    service: "CRM",
    what: `"${delivery.type}" ${delivery.status}`,
    by: null,
    more: delivery.last_error ?? "",
    to: `/staff/crm/${delivery.endpoint_id}`,
  };
}

const NAMES_AN_ID = /_(ids?|hash)$/;

/** Ids and hashes apart from all else, where a list of ids is a number. Without the booking that it is of. */
function parted(detail: Record<string, unknown>): Pick<Entry, "more" | "ids"> {
  const facts: Record<string, unknown> = {};
  const ids: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(detail)) {
    if (name === "booking_id") continue;
    (NAMES_AN_ID.test(name) ? ids : facts)[name] = value;
    if (name.endsWith("_ids") && Array.isArray(value)) facts[name.replace("_ids", "s")] = value.length;
  }
  return { more: inWords(facts), ids: inWords(ids) };
}

/** What an entry says beside, such as "amount €50.00, percent 100". */
export function inWords(detail: Record<string, unknown>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${words(name)} ${read(value)}`)
    .join(", ");
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const CODE = /^[a-z0-9_]+$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

function read(value: unknown): string {
  if (Array.isArray(value)) return value.map(read).join(" and ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return readText(value);
  if (typeof value === "object" && value !== null) {
    return "amount_minor" in value && "currency" in value
      ? money(value as Money)
      : inWords(value as Record<string, unknown>);
  }
  return String(value);
}

function readText(text: string): string {
  if (UUID.test(text)) return `…${text.slice(-8)}`;
  if (INSTANT.test(text)) return short(text);
  return CODE.test(text) ? words(text) : text;
}
