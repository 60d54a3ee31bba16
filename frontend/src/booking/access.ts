import { useEffect } from "react";
import { useLocation, useNavigate } from "react-router";

const keptAs = (bookingId: string) => `booking:${bookingId}`;

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

/** How somebody came to a booking's address: with `#token=` of a mail, or back from the bank with the provider's query. */
export type Arrival = { token: string | undefined; returned: boolean };

/** Takes what the address brings and leaves nothing of it there: addresses are copied, shown and sent on. */
export function useArrival(bookingId: string): Arrival {
  const { hash, search, pathname, state } = useLocation();
  const navigate = useNavigate();
  const handed = new URLSearchParams(hash.slice(1)).get("token") ?? undefined;
  const returned = new URLSearchParams(search).has("payment_intent");
  useEffect(() => {
    if (handed) keepToken(bookingId, handed);
    if (handed || returned) navigate(pathname, { replace: true, state: { returned } });
  }, [bookingId, handed, returned, pathname, navigate]);
  return { token: handed ?? tokenOf(bookingId), returned: returned || Boolean(state?.returned) };
}
