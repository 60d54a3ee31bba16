/* A merchant's page as docs.stripe.com/payments/accept-a-payment shows it. The query of its address chooses options. */
"use strict";

const query = new URLSearchParams(location.search);
const { key, secret } = document.body.dataset;
const stripe = window.Stripe(key);
const elements = stripe.elements({
  clientSecret: secret,
  locale: query.get("locale") ?? "en",
  appearance: { theme: query.get("theme") ?? "stripe" },
});
const payment = elements.create("payment");
window.happened = [];

for (const name of ["loaderstart", "ready", "change", "focus", "blur", "escape", "loaderror"]) {
  payment.on(name, (event) => window.happened.push([name, event]));
}

function show(result) {
  document.querySelector("#result").textContent = JSON.stringify(result);
}

async function pay(event) {
  event.preventDefault();
  show(null);
  const { error } = await elements.submit();
  if (error) return show({ error });
  const confirmParams = { return_url: `${location.origin}/back` };
  const redirect = query.get("redirect") ?? "if_required";
  return show(await stripe.confirmPayment({ elements, confirmParams, redirect }));
}

document.querySelector("form").addEventListener("submit", pay);
payment.once("ready", () => (document.body.dataset.ready = ""));
payment.once("blur", () => (document.body.dataset.blurred = ""));
payment.once("loaderror", () => (document.body.dataset.failed = ""));
payment.mount("#payment");
