// Brings in what has arrived while the page is looked at, and works the switch.
const live = document.getElementById("live");

async function refresh() {
  if (document.hidden) return;
  const revision = await (await fetch("/_revision")).json();
  if (revision === live.dataset.revision) return;
  const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html").getElementById("live");
  if (!fresh) return;
  const open = new Set([...live.querySelectorAll("details[open] .who")].map((who) => who.textContent));
  live.replaceChildren(...fresh.children);
  live.dataset.revision = revision;
  for (const who of live.querySelectorAll("details .who")) {
    if (open.has(who.textContent)) who.closest("details").open = true;
  }
}

// The next tick asks again, so a restart of the server is no error here.
setInterval(() => refresh().catch(() => undefined), 2000);

document.getElementById("mode").addEventListener("change", async (event) => {
  const body = JSON.stringify({ mode: event.target.value });
  const answer = await fetch("/_control", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (answer.ok) location.reload();
  else event.target.value = event.target.dataset.now;
});
