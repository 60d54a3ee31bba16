import { Badge, type MantineColor } from "@mantine/core";

/** Of every status that a service knows. One that is missing here is grey. */
const COLORS: Record<string, MantineColor> = {
  confirmed: "green",
  succeeded: "green",
  refunded: "green",
  settled_manually: "green",
  sent: "green",
  delivered: "green",
  active: "green",
  won: "green",
  valid: "green",
  on_sale: "green",
  approved: "blue",
  authorized: "blue",
  payment_authorized: "blue",
  capturing: "blue",
  processing: "blue",
  requested: "blue",
  pending: "blue",
  submitted: "blue",
  queued: "blue",
  started: "blue",
  partially_refunded: "blue",
  pending_payment: "yellow",
  requires_action: "yellow",
  awaiting_approval: "yellow",
  unknown: "yellow",
  in_review: "yellow",
  inquiry: "yellow",
  suppressed: "yellow",
  blocked_by_dispute: "yellow",
  failed: "red",
  refund_failed: "red",
  lost: "red",
  bounced: "red",
  disabled: "red",
  open: "red",
  cancelled: "red",
  rejected: "red",
};

/** "awaiting_approval" as a person reads it. */
export const words = (status: string) => status.replaceAll("_", " ");

export function StatusBadge({ status }: { status: string }) {
  return (
    <Badge size="sm" variant="dot" color={COLORS[status] ?? "gray"} tt="none" miw="max-content">
      {words(status)}
    </Badge>
  );
}
