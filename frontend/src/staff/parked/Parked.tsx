import { Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ParkedSummary } from "../../api/generated";
import { listParkedOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Known, Said } from "../layout/Known";
import { WORK } from "../layout/live";
import { Page } from "../layout/Page";
import { Part } from "../layout/Part";
import { Ref } from "../layout/Ref";
import { type Column, Rows } from "../layout/Rows";
import { When } from "../layout/When";
import { useMay } from "../who";
import { Decide } from "./Decide";
import { SERVICES, type Service } from "./service";

/** Messages that a service failed at in every try, until a person decides. */
export function Parked() {
  return (
    <Page title="Parked messages">
      <Text size="sm" c="dimmed">
        A service failed at these in every try. What they should have caused has not happened; the messages behind them
        were not held up.
      </Text>
      {SERVICES.map((service) => (
        <OfService key={service} service={service} />
      ))}
    </Page>
  );
}

function OfService({ service }: { service: Service }) {
  const parked = useQuery({ ...listParkedOptions({ path: { service } }), ...WORK });
  const mayDecide = useMay("manager");
  const name = service.replace(/^./, (letter) => letter.toUpperCase());
  return (
    <Part title={name}>
      <Known query={parked} what={`The list of ${service}`}>
        {({ items, total }) => (
          <>
            <Rows
              label={`Parked messages of ${service}`}
              rows={items.map((message) => ({ ...message, id: `${message.queue}/${message.message_id}` }))}
              columns={columns(service, mayDecide)}
              empty="Nothing is parked."
            />
            {total > items.length && <Said>{`The first ${items.length} of ${total}.`}</Said>}
          </>
        )}
      </Known>
    </Part>
  );
}

function columns(service: Service, mayDecide: boolean): Column<ParkedSummary>[] {
  const decide: Column<ParkedSummary> = {
    head: "What to do",
    cell: (message) => (
      <Group gap={4} wrap="nowrap">
        <Decide service={service} message={message} />
      </Group>
    ),
  };
  return [
    {
      head: "Message",
      cell: ({ queue, message_id }) => (
        <Ref to={`/staff/parked/${service}/${queue}/${encodeURIComponent(message_id)}`} id={message_id} />
      ),
    },
    { head: "Event", cell: ({ type, queue }) => <span title={queue}>{type}</span> },
    { head: "Happened", cell: ({ occurred_at }) => occurred_at && <When at={occurred_at} seconds />, wide: true },
    { head: "Tries", cell: ({ tried }) => tried, numeric: true, wide: true },
    {
      head: "Error",
      cell: ({ error }) => (
        <Text span inherit style={{ overflowWrap: "anywhere" }}>
          {error}
        </Text>
      ),
    },
    ...(mayDecide ? [decide] : []),
  ];
}
