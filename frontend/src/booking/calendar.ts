import type { Opened } from "./queries";

const FILE_STAYS_MS = 60_000;

/** Gets a booking's calendar file and hands it to the browser to save or open. Answers whether that went well. */
export async function saveCalendar({ bookingId, token }: Opened, name: string): Promise<boolean> {
  try {
    const answer = await fetch(`/api/bookings/${bookingId}/calendar.ics`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    if (!answer.ok) return false;
    const file = URL.createObjectURL(await answer.blob());
    const link = document.createElement("a");
    link.href = file;
    link.download = `${name.replace(/[^\p{L}\p{N} _-]/gu, "").trim() || "event"}.ics`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(file), FILE_STAYS_MS);
    return true;
  } catch {
    return false;
  }
}
