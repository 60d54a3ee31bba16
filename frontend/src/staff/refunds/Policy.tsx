import { List, Stack, Text } from "@mantine/core";
import type { Quote } from "../../api/generated";
import { money } from "../../format";
import { When } from "../layout/When";

/** What a policy gives now and why: its rule, the arithmetic of each ticket, and until when. */
export function Policy({ quote }: { quote: Quote }) {
  return (
    <Stack gap={4}>
      <Text size="sm">{quote.rule}</Text>
      {quote.lines.length > 0 && (
        <List size="xs" c="dimmed">
          {quote.lines.map(({ line_id, arithmetic }) => (
            <List.Item key={line_id}>{arithmetic}</List.Item>
          ))}
        </List>
      )}
      {quote.fee_minor > 0 && (
        <Text size="xs" c="dimmed">
          A flat fee of {money({ ...quote.amount, amount_minor: quote.fee_minor })} is kept.
        </Text>
      )}
      {quote.next_cut_offs.map(({ until, percent }) => (
        <Text size="xs" c="dimmed" key={until}>
          {percent} % until <When at={until} zone={quote.timezone} />
        </Text>
      ))}
    </Stack>
  );
}
