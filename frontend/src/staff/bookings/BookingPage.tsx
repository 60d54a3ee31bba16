import { Alert, Anchor, Grid, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { BookingRead, TicketRead } from "../../api/generated";
import {
  listPaymentsOptions,
  listRefundsOptions,
  quoteCancellationOptions,
  readBookingOptions,
} from "../../api/generated/@tanstack/react-query.gen";
import { Amount } from "../layout/Amount";
import { Copyable } from "../layout/Copyable";
import { Facts } from "../layout/Facts";
import { isMissing, Known } from "../layout/Known";
import { LIVE } from "../layout/live";
import { Missing } from "../layout/Missing";
import { Page } from "../layout/Page";
import { Part } from "../layout/Part";
import { type Column, Rows } from "../layout/Rows";
import { StatusBadge } from "../layout/StatusBadge";
import { When } from "../layout/When";
import { BookingMails } from "../mails/BookingMails";
import { RefundAction } from "../refunds/RefundAction";
import { BookingAnswers } from "../surveys/BookingAnswers";
import { useMay } from "../who";
import { BookingMoney } from "./BookingMoney";
import { CancelAction } from "./CancelAction";
import { Timeline } from "./Timeline";

const BACK = { to: "/staff/bookings", label: "Bookings" };

export function BookingPage() {
  const { bookingId = "" } = useParams();
  const booking = useQuery({ ...readBookingOptions({ path: { booking_id: bookingId } }), ...LIVE });
  const payments = useQuery({ ...listPaymentsOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const refunds = useQuery({ ...listRefundsOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const quote = useQuery({ ...quoteCancellationOptions({ query: { booking_id: bookingId } }), ...LIVE });
  const mayRefund = useMay("refunder");
  if (isMissing(booking)) return <Missing what="Booking" back={BACK} />;
  return (
    <Page
      title={booking.data ? `Booking of ${booking.data.contact.name}` : "Booking"}
      back={BACK}
      actions={
        mayRefund &&
        booking.data && (
          <>
            <RefundAction booking={booking.data} refunds={refunds.data?.items} />
            {booking.data.status !== "cancelled" && booking.data.status !== "expired" && (
              <CancelAction booking={booking.data} />
            )}
          </>
        )
      }
    >
      <Grid gap="sm">
        <Grid.Col span={{ base: 12, lg: 6 }}>
          <Stack gap="sm">
            <Part title="Booking">
              <Known query={booking}>{(found) => <BookingFacts booking={found} />}</Known>
            </Part>
            {booking.data && (
              <Part title="Tickets">
                <Rows
                  label="Tickets"
                  rows={booking.data.tickets}
                  columns={ticketColumns(booking.data.total.currency)}
                  empty="A booking has at least one ticket."
                />
              </Part>
            )}
            <BookingMoney payments={payments} refunds={refunds} quote={quote} />
            <BookingMails bookingId={bookingId} />
            <BookingAnswers bookingId={bookingId} />
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 6 }}>
          <Part title="Timeline">
            <Timeline bookingId={bookingId} payments={payments} refunds={refunds} />
          </Part>
        </Grid.Col>
      </Grid>
    </Page>
  );
}

function BookingFacts({ booking }: { booking: BookingRead }) {
  const { event, current_event, contact } = booking;
  return (
    <>
      <Facts
        of={{
          Status: (
            <Group gap="xs">
              <StatusBadge status={booking.status} />
              {booking.refund_state !== "none" && <StatusBadge status={booking.refund_state} />}
            </Group>
          ),
          Id: <Copyable text={booking.id} what="the booking's id" />,
          Customer: contact.name,
          "E-mail": contact.email && (
            <Anchor href={`mailto:${contact.email}`} inherit>
              {contact.email}
            </Anchor>
          ),
          Event: (
            <Anchor component={Link} to={`/staff/events/${event.event_id}`} inherit>
              {event.name}
            </Anchor>
          ),
          Total: (
            <>
              <Amount of={booking.total} />, tax of{" "}
              <Amount of={{ ...booking.total, amount_minor: booking.tax_minor }} /> in it
            </>
          ),
          Venue: event.venue,
          Starts: <When at={event.starts_at} zone={event.timezone} />,
          Placed: <When at={booking.placed_at} seconds />,
          "Hold ends": booking.hold_expires_at && <When at={booking.hold_expires_at} seconds />,
          Confirmed: booking.confirmed_at && <When at={booking.confirmed_at} seconds />,
          Cancelled: booking.cancelled_at && (
            <>
              <When at={booking.cancelled_at} seconds /> by {booking.cancelled_by}
            </>
          ),
        }}
      />
      {current_event && (
        <Alert color="yellow" p="xs" mt="xs">
          The event has changed since it was booked: {current_event.name}, {current_event.venue},{" "}
          <When at={current_event.starts_at} zone={current_event.timezone} />.
          {booking.full_refund_until && (
            <>
              {" "}
              Until <When at={booking.full_refund_until} zone={current_event.timezone} /> a cancellation gets everything
              back.
            </>
          )}
        </Alert>
      )}
    </>
  );
}

function ticketColumns(currency: string): Column<TicketRead>[] {
  return [
    { head: "Ticket", cell: ({ name }) => name },
    {
      head: "Status",
      cell: ({ status, cancelled_at }) => (
        <Group gap={4}>
          <StatusBadge status={status} />
          {cancelled_at && (
            <Text span size="xs" c="dimmed">
              <When at={cancelled_at} />
            </Text>
          )}
        </Group>
      ),
    },
    { head: "Code", cell: ({ code }) => code && <Copyable text={code} what="the ticket's code" /> },
    {
      head: "Price",
      cell: ({ gross_minor }) => <Amount of={{ amount_minor: gross_minor, currency }} />,
      numeric: true,
    },
  ];
}
