/*
 * The stand-in for Stripe.js: what docs.stripe.com/js describes, as far as a page with the Payment Element needs it.
 *
 *     Stripe(key)       the calls; they ask the API at the address that this script came from
 *     Elements          one group of options and its Payment Element
 *     PaymentElement    an <iframe> of this script's origin; what is typed there stays there
 *     challenged(url)   the 3-D Secure page, in a dialog over the merchant's page
 *
 * No style is set by markup, so that it runs under a Content-Security-Policy without 'unsafe-inline'.
 */
(() => {
  "use strict";

  const ORIGIN = new URL(document.currentScript.src).origin;
  const VERSION = "endive";
  const FRAME_SECONDS_MAX = 20;
  const GREETING_SECONDS_MAX = 2; // between the frame's load event and its first message
  const FRAME_HEIGHT_PX = 300; // of the empty element; the frame says how high it really is
  const SECRET = /^(pi_\w+?)_secret_\w+$/;
  const DOCS = "https://stripe.com/docs/error-codes/";

  const TEXTS = {
    en: {
      frame: "Secure payment input frame",
      dialog: "3-D Secure authentication",
      cancel: "Cancel authentication",
      connection:
        "We are experiencing issues connecting to our payments provider. Please check your internet connection and try again.",
      payment_intent_authentication_failure:
        "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
    },
    de: {
      frame: "Sicherer Rahmen für Zahlungsdaten",
      dialog: "3-D-Secure-Bestätigung",
      cancel: "Bestätigung abbrechen",
      connection:
        "Die Verbindung zu unserem Zahlungsdienstleister ist gestört. Bitte prüfen Sie Ihre Internetverbindung und versuchen Sie es erneut.",
      payment_intent_authentication_failure:
        "Ihre Zahlungsmethode konnte nicht bestätigt werden. Bitte wählen Sie eine andere Zahlungsmethode und versuchen Sie es erneut.",
      card_declined: "Ihre Karte wurde abgelehnt.",
      insufficient_funds: "Ihre Karte ist nicht ausreichend gedeckt.",
      expired_card: "Ihre Karte ist abgelaufen.",
      incorrect_cvc: "Der Sicherheitscode Ihrer Karte ist falsch.",
      incorrect_number: "Ihre Kartennummer ist falsch.",
      processing_error: "Bei der Verarbeitung Ihrer Karte ist ein Fehler aufgetreten. Versuchen Sie es gleich noch einmal.",
      test_mode_live_card: "Ihre Karte wurde abgelehnt. In der Sandbox gelten nur Stripes Testkarten.",
    },
  };

  const FIELD_OF_CODE = {
    expired_card: "expiry",
    incorrect_cvc: "cvc",
    incorrect_number: "number",
    invalid_cvc: "cvc",
    invalid_expiry_month: "expiry",
    invalid_expiry_year: "expiry",
  };

  /** A mistake of the page's author, not of the customer: thrown, never returned. */
  class IntegrationError extends Error {
    name = "IntegrationError";
  }

  function check(condition, sentence) {
    if (!condition) throw new IntegrationError(sentence);
  }

  /** The language of the texts for an IETF tag or "auto". */
  function languageOf(locale) {
    const tag = !locale || locale === "auto" ? navigator.language : locale;
    return tag.toLowerCase().startsWith("de") ? "de" : "en";
  }

  /** Stripe's form encoding, `a[b]=c`; what is undefined or null is left out. */
  function encoded(values, prefix = "", form = new URLSearchParams()) {
    for (const [key, value] of Object.entries(values)) {
      const name = prefix ? `${prefix}[${key}]` : key;
      if (value === undefined || value === null) continue;
      if (typeof value === "object") encoded(value, name, form);
      else form.append(name, String(value));
    }
    return form;
  }

  /** One API call with the publishable key: `{value}` or `{error}`. A form without own headers needs no preflight. */
  async function call(method, path, values) {
    const form = encoded(values);
    const url = `${ORIGIN}${path}`;
    let body;
    try {
      const answer = await (method === "GET" ? fetch(`${url}?${form}`) : fetch(url, { method, body: form }));
      body = await answer.json();
    } catch {
      return { error: { type: "api_connection_error", message: TEXTS.en.connection } };
    }
    return body.error ? { error: body.error } : { value: body };
  }

  function intentOf(secret, caller) {
    const match = SECRET.exec(secret ?? "");
    check(
      match,
      `Invalid value for ${caller}: clientSecret should be a client secret of the form \${id}_secret_\${secret}. You specified: ${secret}.`,
    );
    return match[1];
  }

  /** The error in the customer's language, as docs.stripe.com/js/appendix/localization says. */
  function localized(error, language) {
    const texts = TEXTS[language];
    const connection = error.type === "api_connection_error" ? texts.connection : undefined;
    return { ...error, message: connection ?? texts[error.decline_code] ?? texts[error.code] ?? error.message };
  }

  function styled(element, style) {
    Object.assign(element.style, style);
    return element;
  }

  /** Events by name, as each element has them. */
  class Emitter {
    #handlers = new Map();

    on(name, handler) {
      this.#handlers.set(name, [...(this.#handlers.get(name) ?? []), handler]);
      return this;
    }

    once(name, handler) {
      const single = (event) => {
        this.off(name, single);
        handler(event);
      };
      return this.on(name, single);
    }

    off(name, handler) {
      const kept = (this.#handlers.get(name) ?? []).filter((each) => handler !== undefined && each !== handler);
      this.#handlers.set(name, kept);
      return this;
    }

    emit(name, event) {
      for (const handler of this.#handlers.get(name) ?? []) handler(event);
    }
  }

  let framesMade = 0;

  class PaymentElement extends Emitter {
    #elements;
    #options;
    #container = null;
    #iframe = null;
    #destroyed = false;
    #questions = new Map();
    #asked = 0;
    #deadline;
    #greeted = false;
    #listener = (event) => this.#receive(event);
    ready = false;

    constructor(elements, options) {
      super();
      this.#elements = elements;
      this.#options = options;
    }

    get options() {
      return this.#options;
    }

    mount(target) {
      check(!this.#destroyed, "This Element has already been destroyed. Please create a new one.");
      const container = typeof target === "string" ? document.querySelector(target) : target;
      check(container, "The selector you specified applies to no DOM elements that are currently on the page.");
      if (container === this.#container) return;
      this.unmount();
      this.#container = container;
      this.#iframe = this.#makeFrame();
      const holder = document.createElement("div");
      holder.className = "__PrivateStripeElement";
      holder.append(this.#iframe);
      container.replaceChildren(holder);
      window.addEventListener("message", this.#listener);
      this.#expect(FRAME_SECONDS_MAX);
      this.emit("loaderstart", { elementType: "payment" });
    }

    unmount() {
      if (this.#container === null) return;
      clearTimeout(this.#deadline);
      window.removeEventListener("message", this.#listener);
      this.#container.replaceChildren();
      this.#container = this.#iframe = null;
      this.ready = this.#greeted = false;
      for (const { reject } of this.#questions.values()) {
        reject(new IntegrationError("The Payment Element was unmounted before it could answer."));
      }
      this.#questions.clear();
    }

    destroy() {
      this.unmount();
      this.#destroyed = true;
      this.#elements.forget(this);
    }

    update(options) {
      this.#options = { ...this.#options, ...options };
      this.configure();
      return this;
    }

    focus() {
      this.#post({ type: "focus" });
    }

    blur() {
      this.#post({ type: "blur" });
    }

    clear() {
      this.#post({ type: "clear" });
    }

    collapse() {
      return this; // there is one payment method, and it stays open
    }

    /** Tell the frame about the options of this element and of its group. */
    configure() {
      if (this.#iframe) this.#iframe.title = TEXTS[this.#elements.language].frame;
      this.#post({ type: "configure", settings: this.#elements.settings(this.#options) });
    }

    /** Have the frame do something with what was typed in it: `validate`, `confirm`, `create`. */
    ask(action, values = {}) {
      check(
        this.#iframe,
        "We could not retrieve data from the specified Element. Please make sure the Element you are attempting to use is still mounted.",
      );
      check(this.ready, "The Payment Element is not ready yet. Please wait for its ready event.");
      const id = ++this.#asked;
      return new Promise((resolve, reject) => {
        this.#questions.set(id, { resolve, reject });
        this.#post({ type: "ask", id, action, values });
      });
    }

    /** Show a decline at the field that it is about. */
    showError(error) {
      const field = FIELD_OF_CODE[error.code];
      if (field) this.#post({ type: "error", field, message: error.message });
    }

    #makeFrame() {
      const iframe = document.createElement("iframe");
      iframe.name = `__privateStripeFrame${++framesMade}`;
      iframe.title = TEXTS[this.#elements.language].frame;
      iframe.src = `${ORIGIN}/js/payment-element#${encodeURIComponent(window.location.origin)}`;
      iframe.addEventListener("load", () => this.#expect(GREETING_SECONDS_MAX)); // an error's page loads as well
      return styled(iframe, {
        border: "0",
        colorScheme: this.#elements.scheme,
        display: "block",
        height: `${FRAME_HEIGHT_PX}px`,
        width: "100%",
      });
    }

    #post(message) {
      this.#iframe?.contentWindow?.postMessage({ standin: "stripe", ...message }, ORIGIN);
    }

    #receive({ data, origin, source }) {
      if (origin !== ORIGIN || source !== this.#iframe?.contentWindow || data?.standin !== "stripe") return;
      if (data.type === "loaded") {
        this.#greeted = true;
        clearTimeout(this.#deadline);
        this.configure();
      } else if (data.type === "height") this.#iframe.style.height = `${data.pixels}px`;
      else if (data.type === "answer") {
        this.#questions.get(data.id)?.resolve(data.answer);
        this.#questions.delete(data.id);
      } else if (data.type === "event") this.#happened(data.name, data.facts);
    }

    /** Give the frame so long to say something. */
    #expect(seconds) {
      clearTimeout(this.#deadline);
      if (!this.#greeted) this.#deadline = setTimeout(() => this.#failed(), seconds * 1000);
    }

    #happened(name, facts) {
      if (name === "ready") this.ready = true;
      this.emit(name, { elementType: "payment", ...facts });
    }

    #failed() {
      const message = TEXTS[this.#elements.language].connection;
      this.#happened("loaderror", { error: { type: "api_connection_error", message } });
    }
  }

  class Elements extends Emitter {
    #key;
    #options;
    #payment = null;
    submitted = false;

    constructor(key, options, locale) {
      super();
      if (options.clientSecret === undefined) {
        check(options.mode === "payment", "elements(): pass a clientSecret, or mode: 'payment' with amount and currency.");
      } else {
        intentOf(options.clientSecret, "elements()");
      }
      this.#key = key;
      this.#options = { locale, ...options };
    }

    get clientSecret() {
      return this.#options.clientSecret;
    }

    get language() {
      return languageOf(this.#options.locale);
    }

    get scheme() {
      return this.#options.appearance?.theme === "night" ? "dark" : "light";
    }

    /** What the frame is told. */
    settings(element) {
      const { appearance = {}, clientSecret } = this.#options;
      const plain = { appearance, clientSecret, element, key: this.#key, language: this.language };
      return JSON.parse(JSON.stringify(plain));
    }

    create(type, options = {}) {
      check(type === "payment", `Stripe.js offers the Element ${type}, its stand-in does not.`);
      check(this.#payment === null, "Can only create one Element of type payment.");
      this.#payment = new PaymentElement(this, options);
      return this.#payment;
    }

    getElement(type) {
      return (type?.__elementType ?? type) === "payment" ? this.#payment : null;
    }

    forget(element) {
      if (this.#payment === element) this.#payment = null;
    }

    async update(options) {
      check(options.clientSecret === undefined, "elements.update(): the clientSecret cannot be changed.");
      this.#options = { ...this.#options, ...options };
      this.#payment?.configure();
      this.emit("update-end");
    }

    async fetchUpdates() {
      this.#payment?.configure();
      return {};
    }

    async submit() {
      check(this.#payment, "elements.submit(): create and mount a Payment Element first.");
      const { error } = await this.#payment.ask("validate");
      this.submitted = !error;
      return error ? { error } : { selectedPaymentMethod: "card" };
    }
  }

  /** A place where Tab stops, and that sends the focus on. */
  function edge(sendOn) {
    const element = document.createElement("span");
    element.tabIndex = 0;
    element.addEventListener("focus", sendOn);
    return element;
  }

  /** Show the page of a 3-D Secure challenge until it is answered (true) or the customer turns away (false). */
  function challenged(url, language) {
    const texts = TEXTS[language];
    const dialog = styled(document.createElement("dialog"), {
      alignItems: "center", background: "rgba(0, 0, 0, .6)", border: "0", boxSizing: "border-box", display: "flex",
      height: "100%", inset: "0", justifyContent: "center", margin: "0", maxHeight: "none", maxWidth: "none", padding: "8px",
      position: "fixed", width: "100%",
    });
    const panel = styled(document.createElement("div"), {
      background: "#fff", borderRadius: "8px", boxSizing: "border-box", colorScheme: "light", display: "flex",
      flexDirection: "column", height: "min(420px, 100%)", padding: "8px", width: "min(440px, 100%)",
    });
    const close = styled(document.createElement("button"), {
      alignSelf: "flex-end", background: "#fff", border: "1px solid #6b7280", borderRadius: "6px", color: "#1f2937",
      cursor: "pointer", font: "14px/1.5 system-ui, sans-serif", minHeight: "36px", padding: "4px 12px",
    });
    const iframe = styled(document.createElement("iframe"), { border: "0", flex: "1", width: "100%" });
    dialog.setAttribute("aria-label", texts.dialog);
    close.type = "button";
    close.autofocus = true;
    close.textContent = texts.cancel;
    iframe.name = "__privateStripeFrame3DSecure";
    iframe.title = texts.dialog;
    iframe.src = `${url}?locale=${language}#${encodeURIComponent(window.location.origin)}`;
    // Chromium lets Tab out of the last frame of a modal dialog into a frame behind it; these two hold it back.
    const [before, after] = [edge(() => iframe.focus()), edge(() => close.focus())];
    panel.append(before, close, iframe, after);
    dialog.append(panel);
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      const end = (answered) => {
        window.removeEventListener("message", receive);
        dialog.close();
        dialog.remove();
        resolve(answered);
      };
      const receive = ({ data, origin, source }) => {
        if (origin !== ORIGIN || source !== iframe.contentWindow || data?.standin !== "stripe") return;
        if (data.type === "answered" || data.type === "escape") end(data.type === "answered");
      };
      window.addEventListener("message", receive);
      iframe.addEventListener("load", () => iframe.focus());
      close.addEventListener("click", () => end(false));
      dialog.addEventListener("cancel", (event) => {
        event.preventDefault();
        end(false);
      });
    });
  }

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

  function makeStripe(key, { locale } = {}) {
    check(typeof key === "string" && key, "Please call Stripe() with your publishable key. You used an empty string.");
    check(!/^(sk|rk)_/.test(key), "You should not use your secret key with Stripe.js.");
    check(key.startsWith("pk_test_"), "The stand-in of Stripe.js takes test keys only, pk_test_…");

    const retrieve = (secret, caller) =>
      call("GET", `/v1/payment_intents/${intentOf(secret, caller)}`, { client_secret: secret, key });

    /** What a page gets: `{paymentIntent}` or `{error}`. A redirect leaves the page, so it never resolves. */
    async function settled({ value: intent, error }, secret, language) {
      if (error) return { error: localized(error, language) };
      if (intent.status !== "requires_action") return { paymentIntent: intent };
      if (intent.next_action.type === "redirect_to_url") {
        window.location.assign(intent.next_action.redirect_to_url.url);
        return new Promise(() => {});
      }
      await challenged(intent.next_action.use_stripe_sdk.stripe_js, language);
      const { value: after, error: lost } = await retrieve(secret, "stripe.retrievePaymentIntent()");
      if (lost) return { error: localized(lost, language) };
      if (!["requires_action", "requires_payment_method"].includes(after.status)) return { paymentIntent: after };
      const code = "payment_intent_authentication_failure";
      const why = after.last_payment_error ?? { code, doc_url: `${DOCS}${code.replaceAll("_", "-")}`, type: "invalid_request_error" };
      return { error: localized({ ...why, payment_intent: after }, language) };
    }

    async function confirmPayment({ elements, clientSecret, confirmParams = {}, redirect = "always" }) {
      const secret = clientSecret ?? elements?.clientSecret;
      intentOf(secret, "stripe.confirmPayment()");
      check(
        redirect === "if_required" || confirmParams.return_url,
        "stripe.confirmPayment(): the `confirmParams.return_url` argument is required when `redirect` is not 'if_required'.",
      );
      const values = { ...confirmParams, client_secret: secret, use_stripe_sdk: true };
      const element = elements?.getElement("payment");
      const language = elements?.language ?? languageOf(locale);
      let answer;
      if (elements) {
        check(element, "stripe.confirmPayment(): create and mount a Payment Element first.");
        check(
          elements.clientSecret || elements.submitted,
          "elements.submit() must be called before stripe.confirmPayment() when Elements was created without a clientSecret.",
        );
        checkBillingDetails(element.options.fields, confirmParams.payment_method_data?.billing_details);
        answer = await element.ask("confirm", values);
      } else {
        answer = await call("POST", `/v1/payment_intents/${intentOf(secret)}/confirm`, { ...values, key });
      }
      const result = await settled(answer, secret, language);
      if (result.error) element?.showError(result.error);
      if (result.error || redirect === "if_required") return result;
      const back = new URL(confirmParams.return_url);
      back.searchParams.set("payment_intent", result.paymentIntent.id);
      back.searchParams.set("payment_intent_client_secret", secret);
      back.searchParams.set("redirect_status", result.paymentIntent.status === "processing" ? "pending" : "succeeded");
      window.location.assign(back);
      return new Promise(() => {});
    }

    async function handleNextAction({ clientSecret }) {
      const answer = await retrieve(clientSecret, "stripe.handleNextAction()");
      check(
        answer.error || answer.value.status === "requires_action",
        "handleNextAction: The PaymentIntent supplied is not in the requires_action state.",
      );
      return settled(answer, clientSecret, languageOf(locale));
    }

    async function confirmCardPayment(clientSecret, data = {}, { handleActions = true } = {}) {
      const intent = intentOf(clientSecret, "stripe.confirmCardPayment()");
      check(
        data.payment_method === undefined || typeof data.payment_method === "string",
        "Stripe.js offers confirmCardPayment with a card Element, its stand-in takes the id of a payment method.",
      );
      const values = { ...data, client_secret: clientSecret, key, use_stripe_sdk: true };
      const answer = await call("POST", `/v1/payment_intents/${intent}/confirm`, values);
      if (!handleActions && answer.value) return { paymentIntent: answer.value };
      return settled(answer, clientSecret, languageOf(locale));
    }

    async function retrievePaymentIntent(clientSecret) {
      const { value, error } = await retrieve(clientSecret, "stripe.retrievePaymentIntent()");
      return error ? { error: localized(error, languageOf(locale)) } : { paymentIntent: value };
    }

    async function createPaymentMethod({ elements, params = {} }) {
      const element = elements?.getElement("payment");
      check(element, "Stripe.js offers createPaymentMethod without Elements, its stand-in does not.");
      const { value, error } = await element.ask("create", params);
      return error ? { error: localized(error, elements.language) } : { paymentMethod: value };
    }

    return {
      elements: (options = {}) => new Elements(key, options, locale),
      confirmPayment,
      confirmCardPayment,
      createPaymentMethod,
      handleNextAction,
      handleCardAction: (clientSecret) => handleNextAction({ clientSecret }),
      retrievePaymentIntent,
      confirmSetup: notOffered("confirmSetup"),
      createConfirmationToken: notOffered("createConfirmationToken"),
      createToken: notOffered("createToken"),
      paymentRequest: notOffered("paymentRequest"),
      registerAppInfo: () => {},
      _registerWrapper: () => {},
    };
  }

  window.Stripe = (key, options) => makeStripe(key, options);
  window.Stripe.version = VERSION;
  window.Stripe._call = call; // the frame's script asks the API with it too
})();
