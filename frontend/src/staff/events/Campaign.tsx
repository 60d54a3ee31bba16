import { Badge, Button, Card, Group, Progress, Stack, Table, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Problem } from "../../api/client";
import { type CampaignProgress, pauseCampaign, resumeCampaign, retryCampaign } from "../../api/generated";
import { readCampaignOptions, readCampaignQueryKey } from "../../api/generated/@tanstack/react-query.gen";
import { money, number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { CsvButton } from "../layout/CsvButton";
import { Refusal } from "../layout/Refusal";
import { useMay } from "../who";

const STEPS = { pause: pauseCampaign, resume: resumeCampaign, retry: retryCampaign };

/** The refunds of a cancelled event, live while they run. */
export function Campaign({ eventId }: { eventId: string }) {
  const campaign = useQuery({
    ...readCampaignOptions({ path: { event_id: eventId } }),
    // The cancellation reaches refund a moment after booking has it.
    retry: (failures, problem) => failures < 20 && (problem as unknown as Problem).status === 404,
    retryDelay: 500,
    refetchInterval: ({ state }) =>
      state.data && (state.data as CampaignProgress).state === "finished" ? 15_000 : 1_000,
  });
  return (
    <Card withBorder>
      <Loaded query={campaign}>{(found) => <Progressing campaign={found as CampaignProgress} />}</Loaded>
    </Card>
  );
}

function Progressing({ campaign }: { campaign: CampaignProgress }) {
  const { event_id, bookings, done, state, items } = campaign;
  const failed = items.failed ?? 0;
  return (
    <Stack>
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={2} fz="h3">
            Refunds of this event
          </Title>
          <Badge color={{ running: "blue", paused: "yellow", finished: "green" }[state]} variant="light">
            {state}
          </Badge>
        </Group>
        <Steps campaign={campaign} failed={failed} />
      </Group>
      <Progress.Root size="xl">
        <Progress.Section
          value={bookings ? (100 * done) / bookings : 100}
          color={state === "finished" ? "green" : "blue"}
          animated={state === "running"}
          aria-label="Bookings with an outcome"
        >
          <Progress.Label>
            {number(done)} of {number(bookings)}
          </Progress.Label>
        </Progress.Section>
      </Progress.Root>
      <Text size="sm" role="status">
        {Object.entries(items)
          .map(([name, count]) => `${number(count)} ${name.replaceAll("_", " ")}`)
          .join(", ") || "No booking had been paid."}
        {state === "running" && campaign.estimated_end
          ? ` Finished around ${new Date(campaign.estimated_end).toLocaleTimeString()}.`
          : ""}
      </Text>
      <Table maw={640}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th ta="right">Refunded</Table.Th>
            <Table.Th ta="right">On its way</Table.Th>
            <Table.Th ta="right">Failed, with staff</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {campaign.totals.map((total) => (
            <Table.Tr key={total.refunded.currency}>
              <Table.Td ta="right">{money(total.refunded)}</Table.Td>
              <Table.Td ta="right">{money(total.outstanding)}</Table.Td>
              <Table.Td ta="right">{money(total.failed)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <CsvButton href={`/api/refund-campaigns/${event_id}/report.csv`} label="Report (CSV)" />
    </Stack>
  );
}

function Steps({ campaign, failed }: { campaign: CampaignProgress; failed: number }) {
  const manager = useMay("manager");
  const queries = useQueryClient();
  const path = { event_id: campaign.event_id };
  const step = useMutation({
    mutationFn: (name: keyof typeof STEPS) => STEPS[name]({ path, throwOnError: true }),
    onSettled: () => queries.invalidateQueries({ queryKey: readCampaignQueryKey({ path }) }),
  });
  if (!manager) return null;
  return (
    <Stack gap="xs">
      <Group gap="xs">
        {campaign.state === "running" && (
          <Button variant="default" size="xs" loading={step.isPending} onClick={() => step.mutate("pause")}>
            Pause
          </Button>
        )}
        {campaign.state === "paused" && (
          <Button size="xs" loading={step.isPending} onClick={() => step.mutate("resume")}>
            Resume
          </Button>
        )}
        {failed > 0 && (
          <Button variant="default" size="xs" loading={step.isPending} onClick={() => step.mutate("retry")}>
            Retry {number(failed)} failed
          </Button>
        )}
      </Group>
      <Refusal problem={step.error} />
    </Stack>
  );
}
