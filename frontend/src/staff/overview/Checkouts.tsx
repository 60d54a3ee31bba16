import { Card, Group, Progress, Stack, Table, Text, Title } from "@mantine/core";
import type { PaymentAnalytics } from "../../api/generated";
import { number } from "../../format";
import { Figure } from "./Revenue";

/** How many of those who wanted to pay have paid, and why cards were declined. */
export function Checkouts({ analytics }: { analytics: PaymentAnalytics }) {
  const { succeeded = 0, failed = 0, abandoned = 0, open = 0 } = analytics.checkouts;
  const over = succeeded + failed;
  const rate = over ? (100 * succeeded) / over : null;
  return (
    <Card withBorder h="100%">
      <Title order={2} fz="h4">
        Payments
      </Title>
      <Group gap="xl" my="xs">
        <Figure label="Succeeded" value={rate === null ? "–" : `${rate.toFixed(1)} %`} />
        <Figure label="Paid" value={number(succeeded)} />
        <Figure label="Failed" value={number(failed)} />
        <Figure label="Abandoned" value={number(abandoned)} />
        <Figure label="Open" value={number(open)} />
      </Group>
      <Progress value={rate ?? 0} color="green" aria-hidden />
      <Stack mt="md" gap={4}>
        <Text size="sm">
          Of {number(analytics.attempts.succeeded + analytics.attempts.declined)} attempts{" "}
          {number(analytics.attempts.declined)} were declined{analytics.declines.length ? ":" : "."}
        </Text>
        <Table>
          <Table.Tbody>
            {analytics.declines.map(({ code, count }) => (
              <Table.Tr key={code}>
                <Table.Td>{code.replaceAll("_", " ")}</Table.Td>
                <Table.Td ta="right">{number(count)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Stack>
    </Card>
  );
}
