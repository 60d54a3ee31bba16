import { Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import { Problem } from "../api/client";
import type { BookingRead } from "../api/generated";
import { Loaded } from "../layout/Loaded";
import { PageTitle } from "../layout/PageTitle";
import { useArrival } from "./access";
import { BookingWaiting } from "./BookingFrame";
import { CancelledStep } from "./CancelledStep";
import { ConfirmedStep } from "./ConfirmedStep";
import { EndedStep } from "./EndedStep";
import { PayStep } from "./PayStep";
import { ProcessingStep } from "./ProcessingStep";
import { usePayment } from "./payment";
import { type Opened, useBooking } from "./queries";
import { stepOf } from "./steps";

/** One address for all that a booking goes through. It shows what is so now, however somebody came here. */
export function BookingPage() {
  const { bookingId = "" } = useParams();
  const { token, returned } = useArrival(bookingId);
  if (!token) return <Unopened />;
  return <Followed key={bookingId} opened={{ bookingId, token }} returned={returned} />;
}

function Followed({ opened, returned }: { opened: Opened; returned: boolean }) {
  const booking = useBooking(opened);
  const refused = booking.failureReason instanceof Problem && !booking.failureReason.passing;
  if (refused && !booking.data) return <Unopened />;
  return (
    <Loaded query={booking} skeleton={<BookingWaiting />}>
      {(found) => <Live booking={found} opened={opened} returned={returned} />}
    </Loaded>
  );
}

function Live({ booking, opened, returned }: { booking: BookingRead; opened: Opened; returned: boolean }) {
  const payment = usePayment(opened, booking, returned);
  const step = stepOf(booking, payment.state, payment.over);
  switch (step) {
    case "pay":
      return <PayStep booking={booking} opened={opened} payment={payment} />;
    case "processing":
    case "checking":
    case "in_review":
      return <ProcessingStep key={step} booking={booking} step={step} />;
    case "confirmed":
      return <ConfirmedStep booking={booking} opened={opened} />;
    case "cancelled":
      return <CancelledStep booking={booking} opened={opened} />;
    default:
      return <EndedStep key={step} booking={booking} step={step} refunding={payment.state === "succeeded"} />;
  }
}

/** Nothing here says whether there is a booking at this address. */
export function Unopened() {
  const { t } = useTranslation();
  return (
    <Stack maw={560}>
      <PageTitle>{t("booking.unopened.title")}</PageTitle>
      <Text>{t("booking.unopened.text")}</Text>
      <Text c="dimmed">{t("booking.unopened.none")}</Text>
    </Stack>
  );
}
