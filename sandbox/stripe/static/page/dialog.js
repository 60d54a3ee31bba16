/* 3-D Secure in a dialog over the page. */

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
