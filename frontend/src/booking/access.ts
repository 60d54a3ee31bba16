import { useEffect, useState } from "react";
import { useLocation, useNavigate } from "react-router";
import { now } from "./clock";

const KEPT = "booking:";
const keptAs = (bookingId: string) => `${KEPT}${bookingId}`;

/** A browser that keeps nothing still shows the booking, until the page is left. */
const kept = new Map<string, string>();

/** Keeps what opens a booking on this device. */
export function keepToken(bookingId: string, token: string): void {
  kept.set(bookingId, token);
  try {
    localStorage.setItem(keptAs(bookingId), token);
  } catch {
    // full or switched off
  }
}

export function tokenOf(bookingId: string): string | undefined {
  try {
    return localStorage.getItem(keptAs(bookingId)) ?? kept.get(bookingId);
  } catch {
    return kept.get(bookingId);
  }
}

/** No hold is longer. */
const DAY_MS = 86_400_000;
const MOST = 5;

/** The newest bookings of the last day that are kept here. Their ids are UUIDv7 and begin with the time at which they were placed. */
export function keptLately(): { bookingId: string; token: string }[] {
  const placedAt = (bookingId: string) => Number.parseInt(bookingId.replace("-", "").slice(0, 12), 16);
  return keptIds()
    .filter((bookingId) => placedAt(bookingId) > now() - DAY_MS)
    .sort()
    .slice(-MOST)
    .flatMap((bookingId) => {
      const token = tokenOf(bookingId);
      return token ? [{ bookingId, token }] : [];
    });
}

function keptIds(): string[] {
  try {
    const stored = Object.keys(localStorage).filter((key) => key.startsWith(KEPT));
    return [...new Set([...stored.map((key) => key.slice(KEPT.length)), ...kept.keys()])];
  } catch {
    return [...kept.keys()];
  }
}

/**
 * How somebody came to a booking's address: with `#token=` of a mail, or back from the bank with the provider's query. `refuse` says that the
 * token opened nothing: then the one that is kept here has its turn.
 */
export type Arrival = { token: string | undefined; returned: boolean; refuse: () => void };

type Carried = { handed?: string; returned?: boolean } | null;

/** Takes what the address brings and leaves nothing of it there: addresses are copied, shown and sent on. A token is kept once it opened. */
export function useArrival(bookingId: string): Arrival {
  const { hash, search, pathname, state } = useLocation();
  const carried = state as Carried;
  const navigate = useNavigate();
  const [refused, setRefused] = useState<string>();
  const brought = new URLSearchParams(hash.slice(1)).get("token") ?? undefined;
  const handed = brought ?? carried?.handed;
  const returned = new URLSearchParams(search).has("payment_intent");
  useEffect(() => {
    if (brought || returned) navigate(pathname, { replace: true, state: { handed, returned } satisfies Carried });
  }, [brought, handed, returned, pathname, navigate]);
  return {
    token: (handed === refused ? undefined : handed) ?? tokenOf(bookingId),
    returned: returned || Boolean(carried?.returned),
    refuse: () => setRefused(handed),
  };
}
