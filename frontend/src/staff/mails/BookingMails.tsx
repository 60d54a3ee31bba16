import { useQuery } from "@tanstack/react-query";
import { listNotificationsOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Known } from "../layout/Known";
import { LIVE } from "../layout/live";
import { Part } from "../layout/Part";
import { Rows, without } from "../layout/Rows";
import { useMay } from "../who";
import { MAIL_COLUMNS, RESEND } from "./columns";

/** The mails about a booking. */
export function BookingMails({ bookingId }: { bookingId: string }) {
  const mails = useQuery({ ...listNotificationsOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const columns = without(MAIL_COLUMNS, "Booking");
  const mayResend = useMay("manager");
  return (
    <Part title="Mails">
      <Known query={mails}>
        {({ items }) => (
          <Rows
            label="Mails"
            rows={items}
            columns={mayResend ? [...columns, RESEND] : columns}
            empty="No mail yet. The first is the one with the tickets, once the booking is confirmed."
          />
        )}
      </Known>
    </Part>
  );
}
