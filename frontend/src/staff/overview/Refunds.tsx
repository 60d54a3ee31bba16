import { Card, Stack, Table, Text, Title } from "@mantine/core";
import type { RefundAnalytics } from "../../api/generated";
import { money, number } from "../../format";

/** Refunds by their reason and by the policy's tier. */
export function Refunds({ analytics }: { analytics: RefundAnalytics }) {
  const rows = [
    ...analytics.by_reason.map((row) => ({ ...row, kind: "reason", label: row.reason.replaceAll("_", " ") })),
    ...analytics.by_tier.map((row) => ({ ...row, kind: "tier", label: `${row.percent} % of the price` })),
  ];
  return (
    <Card withBorder h="100%">
      <Title order={2} fz="h4">
        Refunds
      </Title>
      {rows.length === 0 && <Text mt="sm">No refund was asked for in these days.</Text>}
      <Stack>
        {["reason", "tier"].map((kind) => {
          const shown = rows.filter((row) => row.kind === kind);
          return (
            shown.length > 0 && (
              <Table key={kind} captionSide="top">
                <Table.Caption>{kind === "reason" ? "By reason" : "By the policy's tier"}</Table.Caption>
                <Table.Tbody>
                  {shown.map((row) => (
                    <Table.Tr key={row.label + row.currency}>
                      <Table.Td>{row.label}</Table.Td>
                      <Table.Td ta="right">{number(row.count)}</Table.Td>
                      <Table.Td ta="right">{money(row)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            )
          );
        })}
      </Stack>
    </Card>
  );
}
