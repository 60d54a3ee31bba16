import { Problem } from "../../api/client";

/** Spread into a query whose page is watched: it looks again every few seconds while the tab is seen. */
export const LIVE = { refetchInterval: every(4_000) };

/** The same for a list of work. */
export const WORK = { refetchInterval: every(15_000) };

/** An address that names nothing readable stays so; whatever else is refused may be there later. */
function every(milliseconds: number) {
  return ({ state }: { state: { error: unknown } }) =>
    state.error instanceof Problem && state.error.status === 422 ? (false as const) : milliseconds;
}
