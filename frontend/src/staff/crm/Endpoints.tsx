import { Alert, Anchor, Group, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { onceOnly } from "../../api/client";
import {
  type EndpointCreated,
  type EndpointOut,
  enableEndpoint,
  registerEndpoint,
  removeEndpoint,
} from "../../api/generated";
import { listEndpointsOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Action } from "../layout/Ask";
import { Copyable } from "../layout/Copyable";
import { Known } from "../layout/Known";
import { Page } from "../layout/Page";
import { type Column, Rows } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";

const COLUMNS: Column<EndpointOut>[] = [
  {
    head: "Address",
    cell: ({ id, url }) => (
      <Anchor component={Link} to={`/staff/crm/${id}`} inherit style={{ overflowWrap: "anywhere" }}>
        {url}
      </Anchor>
    ),
  },
  {
    head: "Status",
    cell: ({ status, disabled_reason }) => (
      <>
        <StatusBadge status={status} />
        {disabled_reason && <Text size="xs">{disabled_reason}</Text>}
      </>
    ),
  },
  {
    head: "Is told",
    cell: ({ event_types }) => <span title={event_types.join("\n")}>{event_types.length} types of events</span>,
    wide: true,
  },
  { head: "Registered", cell: ({ created_at }) => <When at={created_at} />, wide: true },
  {
    head: "What to do",
    cell: (endpoint) => (
      <Group gap={4}>
        {endpoint.status === "disabled" && <Enable endpoint={endpoint} />}
        <Remove endpoint={endpoint} />
      </Group>
    ),
  },
];

/** The addresses of CRM systems that are told what happens. */
export function Endpoints() {
  const endpoints = useQuery(listEndpointsOptions());
  return (
    <Page title="CRM endpoints" actions={<Register />}>
      <Known query={endpoints}>
        {({ items }) => (
          <Rows
            label="CRM endpoints"
            rows={items}
            columns={COLUMNS}
            empty="No CRM is told anything. Register the address of one, and it gets a signed request for every event."
          />
        )}
      </Known>
    </Page>
  );
}

function Register() {
  const ask = async (key: string, fields: FormData) => {
    const types = String(fields.get("event_types"))
      .split(/[\s,]+/)
      .filter(Boolean);
    const secret = String(fields.get("secret")).trim();
    const { data } = await registerEndpoint({
      body: {
        url: String(fields.get("url")).trim(),
        ...(types.length > 0 && { event_types: types }),
        ...(secret && { secret }),
      },
      headers: onceOnly(key),
      throwOnError: true,
    });
    return data;
  };
  return (
    <Action
      label="Register an endpoint"
      title="Register an endpoint"
      submit="Register"
      size="lg"
      ask={ask}
      done={(created) => <Created endpoint={created} />}
    >
      <TextInput size="xs" name="url" type="url" label="Address" required data-autofocus placeholder="https://" />
      <Textarea
        size="xs"
        name="event_types"
        label="Types of events"
        description="Such as booking.confirmed, separated by spaces. Empty: all of them."
        autosize
        minRows={2}
      />
      <TextInput
        size="xs"
        name="secret"
        label="Secret"
        description="Empty: one is made. Otherwise whsec_ and the base64 of 24 to 64 random bytes."
        autoComplete="off"
      />
    </Action>
  );
}

function Created({ endpoint }: { endpoint: EndpointCreated }) {
  return (
    <Stack gap="xs">
      <Text size="sm">{endpoint.url} is told from now on.</Text>
      <Alert color="yellow">
        <Text size="sm" fw={700}>
          Keep this secret now: it is not shown again.
        </Text>
        <Copyable text={endpoint.secret} what="the secret" />
      </Alert>
    </Stack>
  );
}

function Enable({ endpoint }: { endpoint: EndpointOut }) {
  return (
    <Action
      label="Enable"
      title="Enable the endpoint"
      submit="Enable"
      ask={() => enableEndpoint({ path: { endpoint_id: endpoint.id }, throwOnError: true })}
    >
      <Text size="sm">
        {endpoint.url} is told again from now on. What it missed meanwhile can be redelivered from its deliveries.
      </Text>
    </Action>
  );
}

function Remove({ endpoint }: { endpoint: EndpointOut }) {
  return (
    <Action
      label="Remove"
      title="Remove the endpoint"
      submit="Remove"
      color="red"
      ask={() => removeEndpoint({ path: { endpoint_id: endpoint.id }, throwOnError: true })}
    >
      <Text size="sm">
        {endpoint.url} is told nothing any more, also not what it is still owed. The record of its deliveries goes too.
      </Text>
    </Action>
  );
}
