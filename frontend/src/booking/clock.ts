import { useEffect, useState } from "react";
import { client } from "../api/generated/client.gen";

/** The server's clock less this page's. A header `Date` is never ahead of the server, so the largest difference seen is the nearest. */
let ahead = Number.NEGATIVE_INFINITY;

/** Learns the server's time from an answer. */
export function hear(answer: Response): void {
  const told = Date.parse(answer.headers.get("Date") ?? "");
  if (!Number.isNaN(told)) ahead = Math.max(ahead, told - ticks());
}

client.interceptors.response.use((answer) => {
  hear(answer);
  return answer;
});

/** Grows evenly also while the computer's clock is set. */
const ticks = () => performance.timeOrigin + performance.now();

/** The server's time in milliseconds, to about a second. */
export function now(): number {
  return ahead === Number.NEGATIVE_INFINITY ? Date.now() : ahead + ticks();
}

/** The whole seconds until an instant of the server, told anew each second. Never negative. */
export function useSecondsUntil(instant: string): number {
  const left = () => Math.max(0, Math.ceil((Date.parse(instant) - now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `left` depends on nothing but the instant
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left()), 1000);
    return () => clearInterval(timer);
  }, [instant]);
  return seconds;
}
