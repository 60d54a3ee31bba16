import { List, Text, Textarea } from "@mantine/core";
import {
  discardParked,
  type ParkedRehearsal,
  type ParkedSummary,
  rehearseParked,
  retryParked,
} from "../../api/generated";
import { Action } from "../layout/Ask";
import type { Service } from "./service";

/** What a manager can do about a parked message. */
export function Decide({ service, message }: { service: Service; message: ParkedSummary }) {
  const what = {
    path: { service, queue: message.queue, message_id: message.message_id },
    throwOnError: true,
  } as const;
  return (
    <>
      <Action
        label="Dry run"
        title={`Try ${message.type}`}
        submit="Try it"
        ask={async () => (await rehearseParked(what)).data}
        done={(tried) => <Tried rehearsal={tried} />}
      >
        <Text size="sm">{service} works on it as it would, and takes back whatever it did.</Text>
      </Action>
      <Action label="Retry" title={`Retry ${message.type}`} submit="Retry" ask={() => retryParked(what)}>
        <Text size="sm">It goes back to its queue as if it had never been tried. It failed: {message.error}</Text>
      </Action>
      <Action
        label="Discard"
        title={`Discard ${message.type}`}
        submit="Discard"
        color="red"
        ask={(_, fields) => discardParked({ ...what, body: { reason: String(fields.get("reason")).trim() } })}
      >
        <Text size="sm">
          Nothing ever comes of it in {service}, also not when it is published again. What it should have caused is
          yours to do.
        </Text>
        <Textarea
          size="xs"
          name="reason"
          label="Reason"
          description="Kept in the audit with your name."
          required
          maxLength={1000}
          autosize
          minRows={2}
        />
      </Action>
    </>
  );
}

function Tried({ rehearsal: { outcome, error, changes, events } }: { rehearsal: ParkedRehearsal }) {
  const rows = Object.entries(changes).map(
    ([table, counts]) =>
      `${table}: ${Object.entries(counts)
        .map(([kind, count]) => `${count} ${kind}`)
        .join(", ")}`,
  );
  return (
    <>
      <Text size="sm" fw={700}>
        It {outcome === "already consumed" ? "was consumed already" : outcome}.
      </Text>
      {error && <Text size="sm">{error}</Text>}
      <List size="sm">
        {[...rows, ...events.map((event) => `publishes ${event}`)].map((line) => (
          <List.Item key={line}>{line}</List.Item>
        ))}
      </List>
    </>
  );
}
