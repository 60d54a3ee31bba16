import { Button, Group, Progress, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Problem } from "../../api/client";
import {
  type CampaignProgress,
  type CampaignTotal,
  pauseCampaign,
  resumeCampaign,
  retryCampaign,
} from "../../api/generated";
import { readCampaignOptions, readCampaignQueryKey } from "../../api/generated/@tanstack/react-query.gen";
import { number } from "../../format";
import { Loaded } from "../../layout/Loaded";
import { Amount } from "../layout/Amount";
import { Csv } from "../layout/Csv";
import { Part } from "../layout/Part";
import { Refusal } from "../layout/Refusal";
import { type Column, Rows } from "../layout/Rows";
import { StatusBadge, words } from "../layout/StatusBadge";
import { When } from "../layout/When";
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
    <Part
      title="Refunds of this event"
      actions={campaign.data && <Steps campaign={campaign.data as CampaignProgress} />}
    >
      <Loaded query={campaign}>{(found) => <Progressing campaign={found as CampaignProgress} />}</Loaded>
    </Part>
  );
}

function Progressing({ campaign }: { campaign: CampaignProgress }) {
  const { bookings, done, state, items } = campaign;
  return (
    <Stack gap="xs">
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
      <Group gap="sm" role="status" fz="sm">
        <StatusBadge status={state} />
        <Text inherit>
          {Object.entries(items)
            .map(([name, count]) => `${number(count)} ${words(name)}`)
            .join(", ") || "No booking had been paid."}
        </Text>
        {campaign.estimated_end && (
          <Text inherit>
            Done around <When at={campaign.estimated_end} seconds />
          </Text>
        )}
      </Group>
      <Rows
        label="Refunds by currency"
        rows={campaign.totals.map((total) => ({ id: total.refunded.currency, ...total }))}
        columns={TOTALS}
        empty="Nothing has to be refunded."
      />
    </Stack>
  );
}

const TOTALS: Column<CampaignTotal & { id: string }>[] = [
  { head: "Refunded", cell: (total) => <Amount of={total.refunded} />, numeric: true },
  { head: "On its way", cell: (total) => <Amount of={total.outstanding} />, numeric: true },
  { head: "Failed, with staff", cell: (total) => <Amount of={total.failed} />, numeric: true },
];

function Steps({ campaign }: { campaign: CampaignProgress }) {
  const manager = useMay("manager");
  const queries = useQueryClient();
  const path = { event_id: campaign.event_id };
  const step = useMutation({
    mutationFn: (name: keyof typeof STEPS) => STEPS[name]({ path, throwOnError: true }),
    onSettled: () => queries.invalidateQueries({ queryKey: readCampaignQueryKey({ path }) }),
  });
  const failed = campaign.items.failed ?? 0;
  return (
    <>
      <Refusal error={step.error} />
      {manager && campaign.state === "running" && (
        <Button variant="default" size="xs" loading={step.isPending} onClick={() => step.mutate("pause")}>
          Pause
        </Button>
      )}
      {manager && campaign.state === "paused" && (
        <Button size="xs" loading={step.isPending} onClick={() => step.mutate("resume")}>
          Resume
        </Button>
      )}
      {manager && failed > 0 && (
        <Button variant="default" size="xs" loading={step.isPending} onClick={() => step.mutate("retry")}>
          Retry {number(failed)} failed
        </Button>
      )}
      <Csv
        url={`/api/refund-campaigns/${campaign.event_id}/report.csv`}
        name={`refund-campaign-${campaign.event_id}.csv`}
      />
    </>
  );
}
