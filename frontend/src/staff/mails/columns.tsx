import { Text } from "@mantine/core";
import { onceOnly } from "../../api/client";
import { type NotificationOut, resend } from "../../api/generated";
import { Action } from "../layout/Ask";
import { Ref } from "../layout/Ref";
import type { Column } from "../layout/Rows";
import { StatusBadge, words } from "../layout/StatusBadge";
import { When } from "../layout/When";

export const MAIL_COLUMNS: Column<NotificationOut>[] = [
  { head: "Mail", cell: ({ template }) => words(template) },
  { head: "To", cell: ({ for_staff }) => (for_staff ? "staff" : "customer"), wide: true },
  {
    head: "Booking",
    cell: ({ booking_id }) => booking_id && <Ref to={`/staff/bookings/${booking_id}`} id={booking_id} />,
  },
  {
    head: "Status",
    cell: ({ status, last_error, attempts }) => (
      <>
        <StatusBadge status={status} />
        {last_error && (
          <Text size="xs" c="dimmed">
            {last_error} ({attempts === 1 ? "1 attempt" : `${attempts} attempts`})
          </Text>
        )}
      </>
    ),
  },
  { head: "Sent", cell: ({ sent_at, created_at }) => <When at={sent_at ?? created_at} />, wide: true },
];

/** For who may send a mail once more. */
export const RESEND: Column<NotificationOut> = { head: "What to do", cell: (mail) => <Resend mail={mail} /> };

function Resend({ mail }: { mail: NotificationOut }) {
  return (
    <Action
      label="Resend"
      title={`Resend "${words(mail.template)}"`}
      submit="Resend"
      ask={(key) => resend({ path: { notification_id: mail.id }, headers: onceOnly(key), throwOnError: true })}
    >
      <Text size="sm">
        The {mail.for_staff ? "staff" : "customer"} gets this mail once more, as a new one, with what is true now.
      </Text>
    </Action>
  );
}
