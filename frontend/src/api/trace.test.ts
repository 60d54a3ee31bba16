import { expect, test } from "vitest";
import { traceparentOf } from "./trace";

const PARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;

test("paying goes on with the trace that booking began; the next booking begins another", () => {
  const [booked, paid, looked, again] = [
    traceparentOf("POST", "/api/bookings"),
    traceparentOf("POST", "/api/payments"),
    traceparentOf("POST", "/api/payments/0198/sync"),
    traceparentOf("POST", "/api/bookings"),
  ].map((sent) => PARENT.exec(sent ?? ""));
  expect(paid?.[1]).toBe(booked?.[1]);
  expect(looked?.[1]).toBe(booked?.[1]);
  expect(looked?.[2]).not.toBe(paid?.[2]);
  expect(again?.[1]).toMatch(/./);
  expect(again?.[1]).not.toBe(booked?.[1]);
});

test("what only reads, and what staff do, is left to the services", () => {
  expect(traceparentOf("GET", "/api/bookings")).toBeUndefined();
  expect(traceparentOf("GET", "/api/payments/0198")).toBeUndefined();
  expect(traceparentOf("POST", "/api/bookings/0198/cancel")).toBeUndefined();
  expect(traceparentOf("POST", "/api/payment-reviews/0198/approve")).toBeUndefined();
});
