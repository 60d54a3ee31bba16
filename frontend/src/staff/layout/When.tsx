const DAY = { day: "2-digit", month: "short", year: "numeric" } as const;
const TIME = { hour: "2-digit", minute: "2-digit" } as const;

type Props = {
  at: string;
  /** The clocks that it is read from; the reader's own without. Named, where they are another's. */
  zone?: string;
  seconds?: boolean;
};

/** An instant, short. To the pointer it says itself in UTC. */
export function When({ at, zone, seconds }: Props) {
  return (
    <time dateTime={at} title={`${new Date(at).toISOString()}`} style={{ whiteSpace: "nowrap" }}>
      {short(at, zone, seconds)}
    </time>
  );
}

/** An ISO date, such as 2026-11-25, as the days of instants are written. */
export const shortDay = (day: string) =>
  new Intl.DateTimeFormat("en-GB", { ...DAY, timeZone: "UTC" }).format(new Date(day));

export function short(at: string, zone?: string, seconds?: boolean): string {
  return new Intl.DateTimeFormat("en-GB", {
    ...DAY,
    ...TIME,
    ...(seconds && { second: "2-digit" }),
    ...(zone && { timeZone: zone, timeZoneName: "short" }),
  }).format(new Date(at));
}
