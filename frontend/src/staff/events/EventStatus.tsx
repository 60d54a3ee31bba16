import { Badge } from "@mantine/core";
import type { EventRead } from "../../api/generated";

const SHOWN: Record<EventRead["status"], { label: string; color: string }> = {
  draft: { label: "draft", color: "gray" },
  on_sale: { label: "on sale", color: "green" },
  started: { label: "started", color: "blue" },
  ended: { label: "ended", color: "gray" },
  cancelled: { label: "cancelled", color: "red" },
};

export function EventStatus({ status }: { status: EventRead["status"] }) {
  const { label, color } = SHOWN[status];
  return (
    <Badge color={color} variant="light">
      {label}
    </Badge>
  );
}
