import { hear } from "./clock";

const SILENCE_MS = 40_000; // the server says something every 15 s
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;

/** The data of each event of a stream of server-sent events (WHATWG HTML, 9.2). `heard` is called for comments too. */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>, heard: () => void = () => {}) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      heard();
      text += decoder.decode(part.value, { stream: true });
      const events = text.split(/\r?\n\r?\n/);
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (data.length) yield data.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

type Follower = {
  /** A change, as the server tells it. */
  told: (data: string) => void;
  /** The stream ended or broke: something may have been missed, so look. */
  missed: () => void;
};

/** Follows a stream until the answer is called. A broken one is opened again, less and less often, with a look in between. */
export function follow(address: string, token: string, { told, missed }: Follower): () => void {
  const stop = new AbortController();
  async function run() {
    let wait = FIRST_WAIT_MS;
    while (!stop.signal.aborted) {
      const connection = new AbortController();
      let silence = setTimeout(() => connection.abort(), SILENCE_MS);
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => connection.abort(), SILENCE_MS);
      };
      try {
        const answer = await fetch(address, {
          headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" },
          signal: AbortSignal.any([stop.signal, connection.signal]),
        });
        hear(answer);
        if (answer.ok && answer.body) {
          for await (const data of serverSentEvents(answer.body, heard)) {
            wait = FIRST_WAIT_MS;
            told(data);
          }
        }
      } catch {
        // Offline, restarted, silent: all the same from here.
      } finally {
        clearTimeout(silence);
      }
      if (stop.signal.aborted) return;
      missed();
      await pause(wait, stop.signal);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }
  void run();
  return () => stop.abort();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
