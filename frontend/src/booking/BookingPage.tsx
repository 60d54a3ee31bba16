import { Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import { useEffect } from "react";
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
  const { token, returned, refuse } = useArrival(bookingId);
  if (!token) return <Unopened />;
  const opened = { bookingId, token };
  return <Followed key={`${bookingId} ${token}`} opened={opened} returned={returned} refuse={refuse} />;
}

type FollowedProps = { opened: Opened; returned: boolean; refuse: () => void };

function Followed({ opened, returned, refuse }: FollowedProps) {
  const booking = useBooking(opened);
  const refused = useRefused(booking, refuse);
  if (refused && !booking.data) return <Unopened />;
  return (
    <Loaded query={booking} skeleton={<BookingWaiting />}>
      {(found) => <Live booking={found} opened={opened} returned={returned} />}
    </Loaded>
  );
}

/** Whether the token opens nothing, which its bringer is told. */
export function useRefused({ failureReason: why }: UseQueryResult<BookingRead>, refuse: () => void): boolean {
  const refused = why instanceof Problem && !why.passing;
  useEffect(() => {
    if (refused) refuse();
  });
  return refused;
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
