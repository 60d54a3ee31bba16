import { BarChart } from "@mantine/charts";
import { Card, Group, Stack, Text, Title } from "@mantine/core";
import type { PaymentAnalytics } from "../../api/generated";
import { exponent, money } from "../../format";
import { shortDay } from "../layout/When";
import { daysOf } from "./span";

type Props = { analytics: PaymentAnalytics; since: string; last: string };

/** A chart for each currency: amounts of different ones are never added. */
export function Revenue({ analytics, since, last }: Props) {
  const currencies = [...new Set(analytics.by_day.map((day) => day.currency))].sort();
  if (!currencies.length) return <Card withBorder>Nothing was captured in these days.</Card>;
  return (
    <Stack gap="lg">
      {currencies.map((currency) => (
        <InOneCurrency key={currency} currency={currency} analytics={analytics} since={since} last={last} />
      ))}
    </Stack>
  );
}

function InOneCurrency({ currency, analytics, since, last }: Props & { currency: string }) {
  const rows = analytics.by_day.filter((day) => day.currency === currency);
  const known = new Map(rows.map((row) => [row.day, row]));
  const unit = 10 ** exponent(currency);
  const data = daysOf(since, last).map((day) => ({
    day: shortDay(day),
    captured: (known.get(day)?.captured_minor ?? 0) / unit,
    refunded: -(known.get(day)?.refunded_minor ?? 0) / unit,
  }));
  const total = (field: "captured_minor" | "refunded_minor" | "disputed_minor") =>
    money({ amount_minor: rows.reduce((sum, row) => sum + row[field], 0), currency });
  return (
    <Card withBorder>
      <Title order={2} fz="h4">
        Revenue in {currency}
      </Title>
      <Group gap="xl" my="xs">
        <Figure label="Captured" value={total("captured_minor")} />
        <Figure label="Refunded" value={total("refunded_minor")} />
        <Figure label="Disputed" value={total("disputed_minor")} />
      </Group>
      <BarChart
        h={240}
        data={data}
        dataKey="day"
        type="stacked"
        withLegend
        valueFormatter={(value) => money({ amount_minor: Math.round(value * unit), currency })}
        yAxisProps={{ width: 90 }}
        barChartProps={{ stackOffset: "sign" }} // what went back hangs below the line
        barProps={{ isAnimationActive: false }}
        series={[
          { name: "captured", label: "Captured", color: "cyan.7" },
          { name: "refunded", label: "Refunded", color: "orange.6" },
        ]}
      />
    </Card>
  );
}

export function Figure({ label, value }: { label: string; value: string }) {
  return (
    <Stack gap={0}>
      <Text size="sm" c="dimmed">
        {label}
      </Text>
      <Text fz="xl" fw={650}>
        {value}
      </Text>
    </Stack>
  );
}
