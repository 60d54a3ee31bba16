/** What somebody has chosen and typed for an event, kept for this tab: a reload does not lose it. */
export type Draft = { quantities: Record<string, number>; name: string; email: string };

const keptAs = (eventId: string) => `draft:${eventId}`;
const EMPTY: Draft = { quantities: {}, name: "", email: "" };

export function draftOf(eventId: string): Draft {
  try {
    return { ...EMPTY, ...JSON.parse(sessionStorage.getItem(keptAs(eventId)) ?? "{}") };
  } catch {
    return EMPTY;
  }
}

export function keepDraft(eventId: string, draft: Draft | undefined): void {
  try {
    if (draft) sessionStorage.setItem(keptAs(eventId), JSON.stringify(draft));
    else sessionStorage.removeItem(keptAs(eventId));
  } catch {
    // full or switched off
  }
}
