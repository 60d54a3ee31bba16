/*
 * The 3-D Secure page inside the dialog that Stripe.js opens: it stays where it is and tells the page around it that it was answered,
 * but not how; that is for the API to say. The page names its origin behind the # of the address. Without one, the form does it all.
 */
(() => {
  "use strict";

  const PAGE = decodeURIComponent(location.hash.slice(1));
  if (window.parent === window || !PAGE) return;

  const tell = (type) => window.parent.postMessage({ standin: "stripe", type }, PAGE);
  const form = document.querySelector("form");

  async function answer(event) {
    event.preventDefault();
    const body = new URLSearchParams([[event.submitter.name, event.submitter.value]]);
    for (const button of form.elements) button.disabled = true;
    try {
      await fetch(location.pathname, { method: "POST", body, redirect: "manual" });
      tell("answered");
    } catch {
      for (const button of form.elements) button.disabled = false; // the customer may press it again
    }
  }

  form?.addEventListener("submit", answer);
  document.addEventListener("keydown", (event) => event.key === "Escape" && tell("escape"));
  const begin = () => document.activeElement === document.body && form?.querySelector("button").focus();
  window.addEventListener("focus", begin);
  if (document.hasFocus()) begin();
})();
