/* One call of the API with the publishable key, from the page and from the frame alike. */

const ORIGIN = new URL(document.currentScript.src).origin;
const CONNECTION =
  "We are experiencing issues connecting to our payments provider. Please check your internet connection and try again.";

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
    return { error: { type: "api_connection_error", message: CONNECTION } };
  }
  return body.error ? { error: body.error } : { value: body };
}
