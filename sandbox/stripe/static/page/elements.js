/* A group of options and the one element that the stand-in offers. */

const SECRET = /^(pi_\w+?)_secret_\w+$/;

function intentOf(secret, caller) {
  const match = SECRET.exec(secret ?? "");
  check(
    match,
    `Invalid value for ${caller}: clientSecret should be a client secret of the form \${id}_secret_\${secret}. You specified: ${secret}.`,
  );
  return match[1];
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
