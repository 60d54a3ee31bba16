import type { ComponentType } from "react";
import { Overview } from "./overview/Overview";

/** Every address below /staff. Those with a `label` stand in the navigation. */
export const PLACES: { path: string; Page: ComponentType; label?: string }[] = [
  { path: "/", Page: Overview, label: "Overview" },
];
