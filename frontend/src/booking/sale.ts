import type { EventRead } from "../api/generated";

export type OnSale = "on_sale" | "sold_out" | "cancelled" | "started" | "over" | "draft";

/** What can be bought of an event. */
export function onSale(event: EventRead): OnSale {
  const { status } = event;
  if (status === "on_sale") return seatsLeft(event) ? "on_sale" : "sold_out";
  return status === "ended" ? "over" : status;
}

export function seatsLeft({ ticket_types }: Pick<EventRead, "ticket_types">): number {
  return ticket_types.reduce((left, type) => left + type.available, 0);
}
