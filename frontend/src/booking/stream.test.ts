import { expect, test } from "vitest";
import { serverSentEvents } from "./stream";

function streamOf(...parts: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(encoder.encode(part));
      controller.close();
    },
  });
}

test("events come whole, however the bytes were cut; comments only count as heard", async () => {
  let heard = 0;
  const body = streamOf(
    "event: booking\nid: 1\nda",
    'ta: {"a":',
    "1}\n",
    "\n: nothing new\n\n",
    "data: x\ndata: y\n\nda",
  );
  const found: string[] = [];
  for await (const data of serverSentEvents(body, () => heard++)) found.push(data);
  expect(found).toEqual(['{"a":1}', "x\ny"]);
  expect(heard).toBe(5);
});
