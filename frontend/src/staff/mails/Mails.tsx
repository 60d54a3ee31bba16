import { Group } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { ListNotificationsData, MessageStatus, Template } from "../../api/generated";
import { listNotificationsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { every, Filter, useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { useMay } from "../who";
import { MAIL_COLUMNS, RESEND } from "./columns";

const STATUSES = every<MessageStatus>({ queued: 1, sent: 1, bounced: 1, failed: 1, suppressed: 1 });
const TEMPLATES = every<Template>({
  confirmation: 1,
  tickets_cancelled: 1,
  event_moved: 1,
  booking_cancelled: 1,
  hold_expired: 1,
  payment_voided: 1,
  payment_rejected: 1,
  refund_sent: 1,
  refund_failed: 1,
  refund_settled: 1,
  nothing_to_refund: 1,
  survey_event: 1,
  survey_refund: 1,
  staff_refund_failed: 1,
  staff_approval: 1,
  staff_payment_review: 1,
  staff_dispute_opened: 1,
  staff_dispute_closed: 1,
  staff_campaign_started: 1,
  staff_campaign_finished: 1,
});

export function Mails() {
  const [filters, narrow] = useFilters("status", "template");
  const query = filters as ListNotificationsData["query"];
  const mails = useInfiniteQuery({ ...listNotificationsInfiniteOptions({ query }), ...BY_CURSOR });
  const mayResend = useMay("manager");
  return (
    <Page title="Mails">
      <Group gap="xs">
        <Filter label="Status" value={filters.status} onChange={(value) => narrow("status", value)} of={STATUSES} />
        <Filter label="Mail" value={filters.template} onChange={(value) => narrow("template", value)} of={TEMPLATES} />
      </Group>
      <Pages
        label="Mails"
        query={mails}
        rows={({ items }) => items}
        columns={mayResend ? [...MAIL_COLUMNS, RESEND] : MAIL_COLUMNS}
        empty={
          Object.keys(filters).length
            ? "No mail is like this."
            : "Here are all mails, the newest first, once something has happened that somebody is written to about."
        }
      />
    </Page>
  );
}
