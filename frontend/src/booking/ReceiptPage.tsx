import { Anchor, Button, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import type { BookingRead } from "../api/generated";
import { dateTime, money, rate, span } from "../format";
import { Loaded } from "../layout/Loaded";
import { PageTitle } from "../layout/PageTitle";
import { useArrival } from "./access";
import { Unopened, useRefused } from "./BookingPage";
import { byRate, positions, sum } from "./prices";
import { bookingQuery, moneyQuery, type Opened } from "./queries";
import classes from "./ReceiptPage.module.css";

/** What was bought, paid and refunded, on one page to print or keep. */
export default function ReceiptPage() {
  const { bookingId = "" } = useParams();
  const { token, refuse } = useArrival(bookingId);
  return token ? <Page key={token} opened={{ bookingId, token }} refuse={refuse} /> : <Unopened />;
}

function Page({ opened, refuse }: { opened: Opened; refuse: () => void }) {
  const booking = useQuery(bookingQuery(opened));
  const refused = useRefused(booking, refuse);
  if (refused && !booking.data) return <Unopened />;
  return <Loaded query={booking}>{(found) => <Receipt booking={found} opened={opened} />}</Loaded>;
}

function Receipt({ booking, opened }: { booking: BookingRead; opened: Opened }) {
  const { t } = useTranslation();
  const { event, total, contact, confirmed_at } = booking;
  const bill = positions(booking.tickets);
  const amount = (amount_minor: number) => money({ amount_minor, currency: total.currency });
  const given = booking.tickets.filter(({ cancelled_at }) => cancelled_at).length;
  return (
    <Stack gap="lg" className={classes.receipt}>
      <Group justify="space-between" className={classes.actions}>
        <Anchor component={Link} to={`/bookings/${booking.id}`}>
          {t("receipt.toBooking")}
        </Anchor>
        {confirmed_at && <Button onClick={() => window.print()}>{t("print")}</Button>}
      </Group>
      <PageTitle document={`${t("receipt.title")} · ${event.name}`}>{t("receipt.title")}</PageTitle>
      {!confirmed_at ? (
        <Text>{t("receipt.unpaid")}</Text>
      ) : (
        <>
          <dl className={classes.facts}>
            <dt>{t("receipt.number")}</dt>
            <dd>{booking.id}</dd>
            <dt>{t("receipt.placed")}</dt>
            <dd>{dateTime(booking.placed_at, event.timezone)}</dd>
            <dt>{t("receipt.confirmed")}</dt>
            <dd>{dateTime(confirmed_at, event.timezone)}</dd>
            <dt>{t("receipt.buyer")}</dt>
            <dd>
              {contact.name}
              <br />
              {contact.email}
            </dd>
            <dt>{t("receipt.event")}</dt>
            <dd>
              {event.name}
              <br />
              {span(event.starts_at, event.ends_at, event.timezone)}
              <br />
              {event.venue}
            </dd>
          </dl>
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">{t("bill.ticket")}</th>
                <th scope="col">{t("receipt.quantity")}</th>
                <th scope="col">{t("receipt.each")}</th>
                <th scope="col">{t("receipt.gross")}</th>
              </tr>
            </thead>
            <tbody>
              {bill.map(({ name, quantity, gross_minor, tax_rate_bp }) => (
                <tr key={`${name} ${gross_minor} ${tax_rate_bp}`}>
                  <td>{name}</td>
                  <td>{quantity}</td>
                  <td>{amount(gross_minor / quantity)}</td>
                  <td>{amount(gross_minor)}</td>
                </tr>
              ))}
            </tbody>
            <tfoot>
              <tr>
                <th scope="row" colSpan={3}>
                  {t("bill.total")}
                </th>
                <td>{amount(sum(bill, "gross_minor"))}</td>
              </tr>
            </tfoot>
          </table>
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">{t("receipt.rate")}</th>
                <th scope="col">{t("receipt.net")}</th>
                <th scope="col">{t("receipt.tax")}</th>
                <th scope="col">{t("receipt.gross")}</th>
              </tr>
            </thead>
            <tbody>
              {byRate(bill).map(({ tax_rate_bp, gross_minor, tax_minor }) => (
                <tr key={tax_rate_bp}>
                  <td>{rate(tax_rate_bp)}</td>
                  <td>{amount(gross_minor - tax_minor)}</td>
                  <td>{amount(tax_minor)}</td>
                  <td>{amount(gross_minor)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {given > 0 && <Text>{t("receipt.givenBack", { count: given })}</Text>}
          {total.amount_minor > 0 && <Paid booking={booking} opened={opened} />}
        </>
      )}
    </Stack>
  );
}

function Paid({ booking, opened }: { booking: BookingRead; opened: Opened }) {
  const { t } = useTranslation();
  const status = useQuery(moneyQuery(opened, booking.revision));
  if (!status.data) return <Text mih="5rem">{status.failureReason != null && t("receipt.refundedAway")}</Text>;
  const { paid, refunded } = status.data;
  const remains = { ...paid, amount_minor: paid.amount_minor - refunded.amount_minor };
  return (
    <dl className={classes.facts}>
      <dt>{t("money.paid")}</dt>
      <dd>{money(paid)}</dd>
      {refunded.amount_minor > 0 && (
        <>
          <dt>{t("receipt.refunded")}</dt>
          <dd>{money(refunded)}</dd>
          <dt>{t("receipt.remains")}</dt>
          <dd>{money(remains)}</dd>
        </>
      )}
    </dl>
  );
}
