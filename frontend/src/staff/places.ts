import type { ComponentType } from "react";
import { Overview } from "./overview/Overview";
import type { Role } from "./session";

/** Every address below /staff. Those with a `label` stand in the navigation, for who has at least the `role`. */
export const PLACES: { path: string; Page: ComponentType; label?: string; role?: Role }[] = [
  { path: "/", Page: Overview, label: "Overview" },
];
