import { Alert, Anchor, Grid, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { PaymentDetail, RefundRead } from "../../api/generated";
import { readPaymentOptions, readPaymentTimelineOptions } from "../../api/generated/@tanstack/react-query.gen";
import { money } from "../../format";
import { Amount } from "../layout/Amount";
import { Copyable } from "../layout/Copyable";
import { Entries } from "../layout/Entries";
import { Facts } from "../layout/Facts";
import { isMissing, Known } from "../layout/Known";
import { LIVE } from "../layout/live";
import { Missing } from "../layout/Missing";
import { Page } from "../layout/Page";
import { Part } from "../layout/Part";
import { Ref } from "../layout/Ref";
import { type Column, Rows } from "../layout/Rows";
import { StatusBadge, words } from "../layout/StatusBadge";
import { told } from "../layout/timeline";
import { When } from "../layout/When";
import { useMay } from "../who";
import { methodOf } from "./columns";
import { isPaymentsOwn, RetryRefund } from "./RetryRefund";

const REFUNDS: Column<RefundRead>[] = [
  { head: "Refund", cell: ({ id }) => <Ref to={`/staff/refunds/${id}`} id={id} /> },
  { head: "At the provider", cell: ({ status }) => <StatusBadge status={status} /> },
  { head: "Amount", cell: ({ amount }) => <Amount of={amount} />, numeric: true },
  { head: "Waits for, or failed with", cell: ({ waits_for, failure_code }) => words(failure_code ?? waits_for ?? "") },
  { head: "Reference", cell: ({ provider_ref }) => provider_ref, wide: true },
  { head: "Since", cell: ({ updated_at }) => <When at={updated_at} />, wide: true },
];

const toDo = (paymentId: string): Column<RefundRead> => ({
  head: "What to do",
  cell: (refund) => <RetryRefund paymentId={paymentId} refund={refund} />,
});

const BACK = { to: "/staff/payments", label: "Payments" };

export function PaymentPage() {
  const { paymentId = "" } = useParams();
  const payment = useQuery({ ...readPaymentOptions({ path: { payment_id: paymentId } }), ...LIVE });
  const timeline = useQuery({ ...readPaymentTimelineOptions({ path: { payment_id: paymentId } }), ...LIVE });
  const mayRetry = useMay("refunder");
  const found = payment.data;
  if (isMissing(payment)) return <Missing what="Payment" back={BACK} />;
  return (
    <Page title={found ? `Payment of ${money(found.amount)}` : "Payment"} back={BACK}>
      <Grid gap="sm">
        <Grid.Col span={{ base: 12, lg: 6 }}>
          <Stack gap="sm">
            {found?.status === "in_review" && (
              <Alert color="yellow" p="xs">
                It waits for a person to decide:{" "}
                <Anchor component={Link} to="/staff/reviews" inherit>
                  open the reviews
                </Anchor>
              </Alert>
            )}
            <Part title="Payment">
              <Known query={payment}>{(detail) => <PaymentFacts payment={detail} />}</Known>
            </Part>
            {found && (
              <Part title="Refunds">
                <Rows
                  label="Refunds at the provider"
                  rows={found.refunds ?? []}
                  columns={mayRetry && found.refunds?.some(isPaymentsOwn) ? [...REFUNDS, toDo(paymentId)] : REFUNDS}
                  empty="Nothing was asked back from the provider."
                />
              </Part>
            )}
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 6 }}>
          <Part title="Attempts and what followed">
            <Known query={timeline}>{({ items }) => <Entries of={told("payment", paymentId, items)} />}</Known>
          </Part>
        </Grid.Col>
      </Grid>
    </Page>
  );
}

function PaymentFacts({ payment }: { payment: PaymentDetail }) {
  const part = (minor: number) => minor > 0 && <Amount of={{ ...payment.amount, amount_minor: minor }} />;
  return (
    <Facts
      of={{
        Status: <StatusBadge status={payment.status} />,
        Amount: <Amount of={payment.amount} />,
        Captured: part(payment.captured_minor),
        Refunded: part(payment.refunded_minor),
        "Refund pending": part(payment.refund_pending_minor),
        "Taken by disputes": payment.disputed_minor ? (
          <Anchor component={Link} to="/staff/disputes" inherit>
            {part(payment.disputed_minor)}
          </Anchor>
        ) : null,
        Method: methodOf(payment.method),
        "Attempts left": payment.payable ? payment.attempts_left : null,
        Id: <Copyable text={payment.id} what="the payment's id" />,
        Booking: <Ref to={`/staff/bookings/${payment.booking_id}`} id={payment.booking_id} />,
        "Hold ends": payment.payable && <When at={payment.hold_expires_at} seconds />,
        Created: <When at={payment.created_at} seconds />,
        Since: <When at={payment.updated_at} seconds />,
      }}
    />
  );
}
