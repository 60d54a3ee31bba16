import { Alert, Button, Stack, Text, useComputedColorScheme } from "@mantine/core";
import { Elements, PaymentElement, useElements, useStripe } from "@stripe/react-stripe-js";
import type { Appearance, StripeElementLocale } from "@stripe/stripe-js";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { BookingRead, PaymentRead } from "../api/generated";
import { money } from "../format";
import { type Advice, adviceFor, type Refusal } from "./advice";
import { FormWaiting } from "./FormWaiting";
import classes from "./PaymentForm.module.css";
import { stripeQuery } from "./stripe";

/** Of one booking: payment ends it after that many declines. */
const ATTEMPTS = 5;

type Props = {
  booking: BookingRead;
  payment: PaymentRead;
  secret: string;
  publishableKey: string;
  script: string;
  sync: () => Promise<void>;
};

/** The provider's form. Cards are typed in a frame of the provider; we learn only how it ended. */
export default function PaymentForm({ secret, publishableKey, script, ...form }: Props) {
  const { t, i18n } = useTranslation();
  const dark = useComputedColorScheme() === "dark";
  const stripe = useQuery(stripeQuery(script, publishableKey));
  if (!stripe.data) {
    return stripe.failureReason == null ? (
      <FormWaiting />
    ) : (
      <Alert color="yellow" role="alert">
        {t("pay.formAway")}
      </Alert>
    );
  }
  const options = {
    clientSecret: secret,
    locale: i18n.language as StripeElementLocale,
    appearance: dark ? DARK : LIGHT,
    loader: "auto" as const,
  };
  return (
    <Elements stripe={stripe.data} options={options}>
      <Fields secret={secret} {...form} />
    </Elements>
  );
}

const LIGHT: Appearance = { theme: "stripe", variables: { colorPrimary: "#0b7285", borderRadius: "8px" } };
const DARK: Appearance = {
  theme: "night",
  variables: { colorPrimary: "#3bc9db", colorBackground: "#2e2e2e", borderRadius: "8px" },
};

type FieldsProps = Pick<Props, "booking" | "payment" | "secret" | "sync">;

function Fields({ booking, payment, secret, sync }: FieldsProps) {
  const { t } = useTranslation();
  const stripe = useStripe();
  const elements = useElements();
  const [ready, setReady] = useState(false);
  const [unloaded, setUnloaded] = useState(false);
  const [busy, setBusy] = useState(false);
  const [declined, setDeclined] = useState<Advice>();
  const [challenged, setChallenged] = useState(payment.status === "requires_action");
  const paying = useRef(false);
  const refusal = useRef<HTMLDivElement>(null);

  // After a reload the provider still knows what went wrong last, or that the bank waits.
  const tried = useRef(payment.status === "requires_action" || payment.attempts_left < ATTEMPTS);
  useEffect(() => {
    if (!stripe || !tried.current) return;
    tried.current = false;
    stripe.retrievePaymentIntent(secret).then(({ paymentIntent }) => {
      setChallenged(paymentIntent?.status === "requires_action");
      const last = paymentIntent?.last_payment_error;
      if (last) setDeclined((known) => known ?? adviceFor(last));
    });
  }, [stripe, secret]);

  async function attempt(pay: () => Promise<{ error?: Refusal }>) {
    if (paying.current) return;
    paying.current = true; // a state would be seen by the second click too late
    setBusy(true);
    setDeclined(undefined);
    try {
      const { error } = await pay();
      setChallenged(false);
      if (error?.type === "validation_error") return; // shown at its field
      if (error) setDeclined(adviceFor(error));
      await sync();
    } finally {
      paying.current = false;
      setBusy(false);
    }
  }
  useEffect(() => {
    if (declined && !busy) refusal.current?.focus();
  }, [declined, busy]);

  function pay(submitted: FormEvent) {
    submitted.preventDefault();
    if (!stripe || !elements || !ready) return;
    const return_url = `${window.location.origin}/bookings/${booking.id}`;
    void attempt(() => stripe.confirmPayment({ elements, confirmParams: { return_url }, redirect: "if_required" }));
  }

  return (
    <form onSubmit={pay}>
      <Stack>
        {declined && (
          <Alert
            color="red"
            role="alert"
            ref={refusal}
            tabIndex={-1}
            title={declined === "connection" ? undefined : t("pay.declinedTitle")}
          >
            <Text>{t(`pay.declined.${declined}`)}</Text>
            {payment.attempts_left > 0 && payment.attempts_left < ATTEMPTS && (
              <Text size="sm">{t("pay.left", { count: payment.attempts_left })}</Text>
            )}
          </Alert>
        )}
        {challenged && stripe && !busy && (
          <Alert color="yellow" title={t("pay.challenge.title")}>
            <Stack align="flex-start" gap="xs">
              <Text>{t("pay.challenge.text")}</Text>
              <Button
                color="dark"
                variant="default"
                onClick={() => attempt(() => stripe.handleNextAction({ clientSecret: secret }))}
              >
                {t("pay.challenge.button")}
              </Button>
            </Stack>
          </Alert>
        )}
        {unloaded ? (
          <Alert color="yellow" role="alert">
            {t("pay.formAway")}
          </Alert>
        ) : (
          <div className={classes.pays}>
            <PaymentElement
              onReady={() => setReady(true)}
              onLoadError={() => setUnloaded(true)}
              options={{
                layout: "tabs",
                wallets: { applePay: "auto", googlePay: "auto" },
                defaultValues: { billingDetails: booking.contact },
              }}
            />
          </div>
        )}
        <Button type="submit" size="lg" loading={busy} disabled={!ready}>
          {t("pay.button", { amount: money(payment.amount) })}
        </Button>
        <Text size="sm" c="dimmed" role="status" mih="1.5em">
          {busy ? t("pay.paying") : ""}
        </Text>
      </Stack>
    </form>
  );
}
