import { NativeSelect, SimpleGrid } from "@mantine/core";
import { DatePickerInput } from "@mantine/dates";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import {
  analysePaymentsOptions,
  analyseRefundsOptions,
  readEventAnalyticsOptions,
} from "../../api/generated/@tanstack/react-query.gen";
import { Loaded } from "../../layout/Loaded";
import { Page } from "../layout/Page";
import { Checkouts } from "./Checkouts";
import { PopularEvents } from "./PopularEvents";
import { Refunds } from "./Refunds";
import { Revenue } from "./Revenue";
import { dayAfter, daysAgo, LOCAL_ZONE, ZONES } from "./span";

/** What came in, what went back, and which events are liked: the services' own figures of a span of days. */
export function Overview() {
  const [search, setSearch] = useSearchParams();
  const since = search.get("since") ?? daysAgo(29);
  const last = search.get("until") ?? daysAgo(0);
  const timezone = search.get("timezone") ?? LOCAL_ZONE;
  const set = (changed: Record<string, string>) =>
    setSearch({ since, until: last, timezone, ...changed }, { replace: true });
  const query = { since, until: dayAfter(last), timezone };
  const events = useQuery(readEventAnalyticsOptions({ query }));
  const payments = useQuery(analysePaymentsOptions({ query }));
  const refunds = useQuery(analyseRefundsOptions({ query }));
  return (
    <Page
      title="Overview"
      actions={
        <>
          <DatePickerInput
            type="range"
            size="xs"
            aria-label="Days"
            allowSingleDateInRange
            w={250}
            valueFormat="D MMM YYYY"
            maxDate={daysAgo(0)}
            value={[since, last]}
            onChange={([from, to]) => from && to && set({ since: from, until: to })}
          />
          <NativeSelect
            size="xs"
            aria-label="Time zone of the days"
            data={ZONES}
            value={timezone}
            onChange={(change) => set({ timezone: change.currentTarget.value })}
          />
        </>
      }
    >
      <Loaded query={payments}>{(found) => <Revenue analytics={found} since={since} last={last} />}</Loaded>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg">
        <Loaded query={payments}>{(found) => <Checkouts analytics={found} />}</Loaded>
        <Loaded query={refunds}>{(found) => <Refunds analytics={found} />}</Loaded>
      </SimpleGrid>
      <Loaded query={events}>{(found) => <PopularEvents analytics={found} />}</Loaded>
    </Page>
  );
}
