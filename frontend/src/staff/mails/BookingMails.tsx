import { useQuery } from "@tanstack/react-query";
import { listNotificationsOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Loaded } from "../../layout/Loaded";
import { LIVE } from "../layout/live";
import { Part } from "../layout/Part";
import { Rows } from "../layout/Rows";
import { useMay } from "../who";
import { MAIL_COLUMNS, RESEND } from "./columns";

/** The mails about a booking. */
export function BookingMails({ bookingId }: { bookingId: string }) {
  const mails = useQuery({ ...listNotificationsOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const columns = MAIL_COLUMNS.filter(({ head }) => head !== "Booking");
  const mayResend = useMay("manager");
  return (
    <Part title="Mails">
      <Loaded query={mails}>
        {({ items }) => (
          <Rows
            label="Mails"
            rows={items}
            columns={mayResend ? [...columns, RESEND] : columns}
            empty="No mail yet. The first is the one with the tickets, once the booking is confirmed."
          />
        )}
      </Loaded>
    </Part>
  );
}
