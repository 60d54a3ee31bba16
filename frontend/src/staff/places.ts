import type { ComponentType } from "react";
import { EditEventPage } from "./events/EditEventPage";
import { EventPage } from "./events/EventPage";
import { EventsPage } from "./events/EventsPage";
import { NewEventPage } from "./events/NewEventPage";
import { Overview } from "./overview/Overview";
import type { Role } from "./session";

/** Every address below /staff. Those with a `label` stand in the navigation, for who has at least the `role`. */
export const PLACES: { path: string; Page: ComponentType; label?: string; role?: Role }[] = [
  { path: "/", Page: Overview, label: "Overview" },
  { path: "/events", Page: EventsPage, label: "Events" },
  { path: "/events/new", Page: NewEventPage },
  { path: "/events/:eventId", Page: EventPage },
  { path: "/events/:eventId/edit", Page: EditEventPage },
];
