import { useRef } from "react";

/** A key that nobody else has. `crypto.randomUUID` is missing on an address without https. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The Idempotency-Key of what is asked: another one as soon as something else is asked. Asked twice by a double click, it is the same. */
export function useKey(): (asked: unknown) => string {
  const last = useRef({ asked: "", key: "" });
  return (asked) => {
    const text = JSON.stringify(asked);
    if (last.current.asked !== text) last.current = { asked: text, key: newKey() };
    return last.current.key;
  };
}
