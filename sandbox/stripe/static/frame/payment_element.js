/*
 * What runs inside the frame of the Payment Element. Card data is typed here and goes to the API; the page around the frame is told
 * whether the fields are complete, and what the API answered.
 *
 * The page names its origin behind the # of the frame's address; only that origin is listened to and written to.
 */

const PAGE = decodeURIComponent(location.hash.slice(1)) || location.origin;

// docs.stripe.com/testing; what else the stand-in knows is in its README
const TEST_CARDS = [
  ["4242424242424242", "pays"],
  ["4000002500003155", "secure"],
  ["4000008400001629", "secure_declined"],
  ["4000000000000002", "declined"],
  ["4000000000009995", "funds"],
  ["4000000000000069", "expired"],
  ["4000000000000127", "cvc_wrong"],
  ["4000000000005126", "refund_fails"],
  ["4000000000000259", "disputed"],
];

const find = (selector) => document.querySelector(selector);
const inputs = { number: find("[name=number]"), expiry: find("[name=expiry]"), cvc: find("[name=cvc]") };
let settings = null;
let opened = false;
let last = "";

const problemOf = (field) =>
  problems[field]({ number: inputs.number.value, expiry: inputs.expiry.value, cvc: inputs.cvc.value });

const text = (name) => TEXTS[settings?.language ?? "en"][name];

function tell(message) {
  window.parent.postMessage({ standin: "stripe", ...message }, PAGE);
}

function tellEvent(name, facts = {}) {
  tell({ type: "event", name, facts });
}

function show(field, message) {
  find(`#${field}-error`).textContent = message ?? "";
  if (message) inputs[field].setAttribute("aria-invalid", "true");
  else inputs[field].removeAttribute("aria-invalid");
}

/** While one types only what can no longer become right is said. */
function showWhileTyping(field) {
  const problem = problemOf(field);
  show(field, problem?.startsWith("invalid") ? text(problem) : null);
}

function showWhenLeft(field) {
  const problem = inputs[field].value ? problemOf(field) : null;
  show(field, problem && text(problem));
}

/** Show everything that is wrong; the first of it is the error, and is focused. */
function validated() {
  const wrong = Object.keys(inputs).filter((field) => problemOf(field));
  for (const field of Object.keys(inputs)) show(field, wrong.includes(field) ? text(problemOf(field)) : null);
  if (wrong.length === 0) return {};
  inputs[wrong[0]].focus();
  const code = problemOf(wrong[0]);
  return { error: { type: "validation_error", code, message: text(code) } };
}

// Typing.

/** Write `value` so that the caret stays behind the same digit. */
function rewrite(input, value) {
  const before = digitsOf(input.value.slice(0, input.selectionStart)).length;
  const atEnd = input.selectionStart === input.value.length;
  if (input.value === value) return;
  input.value = value;
  let place = value.length;
  if (!atEnd) for (place = 0; digitsOf(value.slice(0, place)).length < before; ) place += 1;
  input.setSelectionRange(place, place);
}

function changed() {
  const empty = Object.values(inputs).every((input) => input.value === "");
  const complete = Object.keys(inputs).every((field) => problemOf(field) === null);
  if (last === `${empty} ${complete}`) return;
  last = `${empty} ${complete}`;
  tellEvent("change", { empty, complete, collapsed: false, value: { type: "card" } });
}

function typed(field, event) {
  const deleting = event.inputType?.startsWith("delete") ?? false;
  const input = inputs[field];
  if (field === "number") rewrite(input, grouped(digitsOf(input.value)));
  else if (field === "expiry") rewrite(input, dated(input.value, deleting));
  else rewrite(input, digitsOf(input.value).slice(0, 4));
  showWhileTyping(field);
  changed();
}

function fillIn(digits) {
  inputs.number.value = grouped(digits);
  inputs.expiry.value = `12 / ${String(new Date().getFullYear() + 4).slice(2)}`;
  inputs.cvc.value = "123";
  for (const field of Object.keys(inputs)) show(field, null);
  find("#filled").textContent = text("filled") + grouped(digits);
  changed();
}

function clear() {
  for (const field of Object.keys(inputs)) {
    inputs[field].value = "";
    show(field, null);
  }
  changed();
}

// What the page asks for.

function card() {
  const expiry = digitsOf(inputs.expiry.value);
  return {
    number: digitsOf(inputs.number.value),
    exp_month: Number(expiry.slice(0, 2)),
    exp_year: 2000 + Number(expiry.slice(2)),
    cvc: inputs.cvc.value,
  };
}

function billingDetails(given) {
  const { address, ...known } = settings.element.defaultValues?.billingDetails ?? {};
  return { ...known, ...given, address: { ...address, ...given?.address } };
}

const actions = {
  validate: async () => validated(),
  async confirm({ payment_method_data: given, client_secret: secret, ...values }) {
    const { error } = validated();
    if (error) return { error };
    const data = { ...given, type: "card", card: card(), billing_details: billingDetails(given?.billing_details) };
    return call("POST", `/v1/payment_intents/${secret.split("_secret_")[0]}/confirm`, {
      ...values,
      client_secret: secret,
      key: settings.key,
      payment_method_data: data,
    });
  },
  async create({ billing_details: given, ...values }) {
    const { error } = validated();
    if (error) return { error };
    const data = { ...values, type: "card", card: card(), billing_details: billingDetails(given) };
    return call("POST", "/v1/payment_methods", { ...data, key: settings.key });
  },
};

function applyAppearance({ theme, variables = {} }) {
  const root = document.documentElement;
  root.dataset.theme = theme ?? "stripe";
  const names = {
    background: variables.colorBackground,
    danger: variables.colorDanger,
    family: variables.fontFamily,
    placeholder: variables.colorTextPlaceholder,
    primary: variables.colorPrimary,
    radius: variables.borderRadius,
    size: variables.fontSizeBase,
    text: variables.colorText,
  };
  for (const [name, value] of Object.entries(names)) {
    if (value === undefined) root.style.removeProperty(`--${name}`);
    else root.style.setProperty(`--${name}`, value);
  }
}

function applyTexts() {
  document.documentElement.lang = settings.language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  inputs.expiry.placeholder = text("expiry_placeholder");
  for (const field of Object.keys(inputs)) if (inputs[field].hasAttribute("aria-invalid")) showWhenLeft(field);
}

function tellHeight() {
  tell({ type: "height", pixels: Math.ceil(find("form").getBoundingClientRect().height) });
}

async function configure(given) {
  settings = { ...given, element: given.element ?? {} };
  applyAppearance(settings.appearance);
  applyTexts();
  for (const control of document.querySelectorAll("input, button")) control.disabled = settings.element.readOnly ?? false;
  if (opened) return;
  opened = true;
  new ResizeObserver(tellHeight).observe(find("form")); // its height was wrong as long as there were no texts
  const { clientSecret, key } = settings;
  const { error } = await call("GET", "/js/session", { client_secret: clientSecret, key });
  if (error) tellEvent("loaderror", { error });
  else tellEvent("ready");
}

async function receive({ data, origin, source }) {
  if (origin !== PAGE || source !== window.parent || data?.standin !== "stripe") return;
  if (data.type === "configure") configure(data.settings);
  else if (data.type === "focus") inputs.number.focus();
  else if (data.type === "blur") document.activeElement.blur();
  else if (data.type === "clear") clear();
  else if (data.type === "error") show(data.field, data.message);
  else if (data.type === "ask") tell({ type: "answer", id: data.id, answer: await actions[data.action](data.values) });
}

function addTestCards() {
  for (const [digits, effect] of TEST_CARDS) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const [name, number] = [document.createElement("span"), document.createElement("span")];
    button.type = "button";
    button.dataset.card = digits;
    name.dataset.text = effect;
    number.className = "number";
    number.textContent = grouped(digits);
    button.append(name, " ", number);
    item.append(button);
    find("#cards").append(item);
  }
  for (const button of document.querySelectorAll("[data-card]")) {
    button.addEventListener("click", () => fillIn(button.dataset.card));
  }
  find("#more").addEventListener("click", ({ currentTarget }) => {
    const hidden = find("#cards").toggleAttribute("hidden");
    currentTarget.setAttribute("aria-expanded", String(!hidden));
  });
}

for (const [field, input] of Object.entries(inputs)) {
  input.addEventListener("input", (event) => typed(field, event));
  // Not when the focus leaves the frame: an error of two lines would move the page's button away from under the press.
  input.addEventListener("blur", ({ relatedTarget }) => relatedTarget && showWhenLeft(field));
}
addTestCards();
find("form").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => event.key === "Escape" && tellEvent("escape"));
window.addEventListener("focus", () => tellEvent("focus"));
window.addEventListener("blur", () => tellEvent("blur"));
window.addEventListener("message", receive);
tell({ type: "loaded" });
