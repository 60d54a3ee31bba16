import type { ComponentType } from "react";
import { EditEventPage } from "./events/EditEventPage";
import { EventPage } from "./events/EventPage";
import { EventsPage } from "./events/EventsPage";
import { NewEventPage } from "./events/NewEventPage";
import { Overview } from "./overview/Overview";

/** Every address below /staff. Those with a `label` stand in the navigation. */
export const PLACES: { path: string; Page: ComponentType; label?: string }[] = [
  { path: "/", Page: Overview, label: "Overview" },
  { path: "/events", Page: EventsPage, label: "Events" },
  { path: "/events/new", Page: NewEventPage },
  { path: "/events/:eventId", Page: EventPage },
  { path: "/events/:eventId/edit", Page: EditEventPage },
];
