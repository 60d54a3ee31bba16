/*
 * The stand-in for Stripe.js: what docs.stripe.com/js describes, as far as a page with the Payment Element needs it.
 *
 *     Calls             what Stripe(key) gives; they ask the API at the address that this script came from
 *     Elements          one group of options and its Payment Element
 *     PaymentElement    an <iframe> of this script's origin; what is typed there stays there
 *     challenged(url)   the 3-D Secure page, in a dialog over the merchant's page
 *
 * `/stripe.js` is the files of this folder in the order of stripe_js.py, within one function. No style is set by markup, so that it
 * runs under a Content-Security-Policy without 'unsafe-inline'.
 */

const VERSION = "endive"; // the train of the API version
const ABANDONED = {
  code: "payment_intent_authentication_failure",
  doc_url: "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
  type: "invalid_request_error",
};

/** Members of `billing_details` that the element was told never to ask for, and that the page must bring itself. */
function checkBillingDetails(fields, given) {
  const asked = fields?.billingDetails;
  const address = asked?.address ?? asked;
  const needed = {
    name: asked?.name ?? asked,
    email: asked?.email ?? asked,
    phone: asked?.phone ?? asked,
    "address.country": address?.country ?? address,
    "address.postal_code": address?.postalCode ?? address,
  };
  for (const [path, option] of Object.entries(needed)) {
    const value = path.split(".").reduce((from, name) => from?.[name], given);
    check(
      option !== "never" || value !== undefined,
      `You specified "never" for fields.billing_details.${path} when creating the payment Element, but did not pass ` +
        `confirmParams.payment_method_data.billing_details.${path} when calling stripe.confirmPayment().`,
    );
  }
}

function notOffered(name) {
  return () => {
    throw new IntegrationError(`Stripe.js offers ${name}, its stand-in does not.`);
  };
}

/** Leave the page. Nothing comes of the promise, as the page is gone. */
function goTo(url) {
  window.location.assign(url);
  return new Promise(() => {});
}

function leave(returnUrl, intent) {
  const url = new URL(returnUrl);
  url.searchParams.set("payment_intent", intent.id);
  url.searchParams.set("payment_intent_client_secret", intent.client_secret);
  url.searchParams.set("redirect_status", intent.status === "processing" ? "pending" : "succeeded");
  return goTo(url);
}

class Calls {
  #key;
  #locale;

  constructor(key, { locale } = {}) {
    check(typeof key === "string" && key, "Please call Stripe() with your publishable key. You used an empty string.");
    check(!/^(sk|rk)_/.test(key), "You should not use your secret key with Stripe.js.");
    check(key.startsWith("pk_test_"), "The stand-in of Stripe.js takes test keys only, pk_test_…");
    this.#key = key;
    this.#locale = locale;
  }

  elements(options = {}) {
    return new Elements(this.#key, options, this.#locale);
  }

  async confirmPayment({ elements, clientSecret, confirmParams = {}, redirect = "always" }) {
    const secret = clientSecret ?? elements?.clientSecret;
    const intent = intentOf(secret, "stripe.confirmPayment()");
    check(
      redirect === "if_required" || confirmParams.return_url,
      "stripe.confirmPayment(): the `confirmParams.return_url` argument is required when `redirect` is not 'if_required'.",
    );
    const values = { ...confirmParams, client_secret: secret, use_stripe_sdk: true };
    const answer = await (elements ? this.#confirmTyped(elements, values) : this.#confirm(intent, values));
    const result = await this.#settled(answer, secret, elements?.language);
    if (result.error) elements?.getElement("payment")?.showError(result.error);
    return result.error || redirect === "if_required" ? result : leave(confirmParams.return_url, result.paymentIntent);
  }

  async confirmCardPayment(clientSecret, data = {}, { handleActions = true } = {}) {
    const intent = intentOf(clientSecret, "stripe.confirmCardPayment()");
    check(
      data.payment_method === undefined || typeof data.payment_method === "string",
      "Stripe.js offers confirmCardPayment with a card Element, its stand-in takes the id of a payment method.",
    );
    const answer = await this.#confirm(intent, { ...data, client_secret: clientSecret, use_stripe_sdk: true });
    if (!handleActions && answer.value) return { paymentIntent: answer.value };
    return this.#settled(answer, clientSecret);
  }

  async handleNextAction({ clientSecret }) {
    const answer = await this.#retrieve(clientSecret, "stripe.handleNextAction()");
    check(
      answer.error || answer.value.status === "requires_action",
      "handleNextAction: The PaymentIntent supplied is not in the requires_action state.",
    );
    return this.#settled(answer, clientSecret);
  }

  async handleCardAction(clientSecret) {
    return this.handleNextAction({ clientSecret });
  }

  async retrievePaymentIntent(clientSecret) {
    const { value, error } = await this.#retrieve(clientSecret, "stripe.retrievePaymentIntent()");
    return error ? { error: localized(error, languageOf(this.#locale)) } : { paymentIntent: value };
  }

  async createPaymentMethod({ elements, params = {} }) {
    const element = elements?.getElement("payment");
    check(element, "Stripe.js offers createPaymentMethod without Elements, its stand-in does not.");
    const { value, error } = await element.ask("create", params);
    return error ? { error: localized(error, elements.language) } : { paymentMethod: value };
  }

  confirmSetup = notOffered("confirmSetup");
  createConfirmationToken = notOffered("createConfirmationToken");
  createToken = notOffered("createToken");
  paymentRequest = notOffered("paymentRequest");

  registerAppInfo() {} // the two by which libraries introduce themselves

  _registerWrapper() {}

  #retrieve(secret, caller) {
    return call("GET", `/v1/payment_intents/${intentOf(secret, caller)}`, { client_secret: secret, key: this.#key });
  }

  #confirm(intent, values) {
    return call("POST", `/v1/payment_intents/${intent}/confirm`, { ...values, key: this.#key });
  }

  /** Have the frame confirm with the card that was typed in it. */
  #confirmTyped(elements, values) {
    const element = elements.getElement("payment");
    check(element, "stripe.confirmPayment(): create and mount a Payment Element first.");
    check(
      elements.clientSecret || elements.submitted,
      "elements.submit() must be called before stripe.confirmPayment() when Elements was created without a clientSecret.",
    );
    checkBillingDetails(element.options.fields, values.payment_method_data?.billing_details);
    return element.ask("confirm", values);
  }

  /** What a page gets: `{paymentIntent}` or `{error}`. A redirect leaves the page, so it never resolves. */
  async #settled({ value: intent, error }, secret, language = languageOf(this.#locale)) {
    if (error) return { error: localized(error, language) };
    if (intent.status !== "requires_action") return { paymentIntent: intent };
    if (intent.next_action.type === "redirect_to_url") return goTo(intent.next_action.redirect_to_url.url);
    await challenged(intent.next_action.use_stripe_sdk.stripe_js, language);
    const { value: after, error: lost } = await this.#retrieve(secret, "stripe.retrievePaymentIntent()");
    if (lost) return { error: localized(lost, language) };
    if (!["requires_action", "requires_payment_method"].includes(after.status)) return { paymentIntent: after };
    return { error: localized({ ...(after.last_payment_error ?? ABANDONED), payment_intent: after }, language) };
  }
}

window.Stripe = (key, options) => new Calls(key, options);
window.Stripe.version = VERSION;
