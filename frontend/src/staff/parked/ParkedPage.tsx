import { Code } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { readParkedOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Copyable } from "../layout/Copyable";
import { Facts } from "../layout/Facts";
import { Known } from "../layout/Known";
import { Page } from "../layout/Page";
import { Part } from "../layout/Part";
import { When } from "../layout/When";
import { useMay } from "../who";
import { Decide } from "./Decide";
import type { Service } from "./service";

/** One parked message, as it was published: what is sealed stays sealed. */
export function ParkedPage() {
  const { service = "", queue = "", messageId = "" } = useParams();
  const of = service as Service; // an address with another name finds nothing
  const message = useQuery(readParkedOptions({ path: { service: of, queue, message_id: messageId } }));
  const mayDecide = useMay("manager");
  return (
    <Page
      title="Parked message"
      back={{ to: "/staff/parked", label: "Parked messages" }}
      actions={mayDecide && message.data && <Decide service={of} message={message.data} />}
    >
      <Known
        query={message}
        what="The message"
        missing="It is not parked any more: it was sent back to its queue, or discarded."
      >
        {({ type, message_id, occurred_at, tried, error, headers, body }) => (
          <>
            <Part title={type}>
              <Facts
                of={{
                  Id: <Copyable text={message_id} what="the id" />,
                  Queue: queue,
                  Happened: occurred_at && <When at={occurred_at} seconds />,
                  Tries: tried,
                  Error: error,
                }}
              />
            </Part>
            <Part title="Body">
              <Block>{indented(body)}</Block>
            </Part>
            <Part title="Headers">
              <Block>{JSON.stringify(headers, null, 2)}</Block>
            </Part>
          </>
        )}
      </Known>
    </Page>
  );
}

function Block({ children }: { children: string }) {
  return (
    <Code block style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
      {children}
    </Code>
  );
}

/** As it is, where it is no JSON. */
function indented(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
