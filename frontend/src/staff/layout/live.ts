/** Spread into a query whose page is watched: it looks again every few seconds while the tab is seen. */
export const LIVE = { refetchInterval: 4_000 };

/** The same for a list of work. */
export const WORK = { refetchInterval: 15_000 };
