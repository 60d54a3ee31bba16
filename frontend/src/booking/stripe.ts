import type { Stripe, StripeConstructor } from "@stripe/stripe-js";
import { queryOptions } from "@tanstack/react-query";

declare global {
  interface Window {
    Stripe?: StripeConstructor;
  }
}

/** Stripe.js from the address that the gateway names: real or the sandbox's. It is loaded once, and anew after it failed. */
async function load(script: string): Promise<StripeConstructor> {
  if (!window.Stripe) {
    const element = document.createElement("script");
    element.src = script;
    await new Promise((resolve, reject) => {
      element.onload = resolve;
      element.onerror = () => reject(new Error(`${script} did not load`));
      document.head.append(element);
    }).finally(() => window.Stripe ?? element.remove());
  }
  if (!window.Stripe) throw new Error(`${script} is not Stripe.js`);
  return window.Stripe;
}

export const stripeQuery = (script: string, publishableKey: string) =>
  queryOptions({
    queryKey: ["stripe", script, publishableKey],
    queryFn: async (): Promise<Stripe> => (await load(script))(publishableKey),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
    retry: true,
  });
