import { Group } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { ListNotificationsData, MessageStatus, Template } from "../../api/generated";
import { listNotificationsInfiniteOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Filter, useFilters } from "../layout/filters";
import { Page } from "../layout/Page";
import { BY_CURSOR, Pages } from "../layout/Pages";
import { useMay } from "../who";
import { MAIL_COLUMNS, RESEND } from "./columns";

const STATUSES: MessageStatus[] = ["queued", "sent", "bounced", "failed", "suppressed"];
const TEMPLATES: Template[] = [
  "confirmation",
  "tickets_cancelled",
  "event_moved",
  "booking_cancelled",
  "hold_expired",
  "payment_voided",
  "refund_sent",
  "refund_failed",
  "refund_settled",
  "nothing_to_refund",
  "staff_refund_failed",
  "staff_approval",
  "staff_dispute_opened",
  "staff_dispute_closed",
  "staff_campaign_started",
  "staff_campaign_finished",
];

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
