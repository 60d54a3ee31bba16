/* The Payment Element as the page has it: an <iframe> of the stand-in's origin, and messages to and from it. */

const FRAME_SECONDS_MAX = 20;
const GREETING_SECONDS_MAX = 2; // between the frame's load event and its first message
const FRAME_HEIGHT_PX = 300; // of the empty element; the frame says how high it really is

/** A mistake of the page's author, not of the customer: thrown, never returned. */
class IntegrationError extends Error {
  name = "IntegrationError";
}

function check(condition, sentence) {
  if (!condition) throw new IntegrationError(sentence);
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
