/* Keeps one message's page honest: while it is processing the page is read again when the label
   comes; once there is a label, a notice says that somebody changed it, and nothing jumps. */
"use strict";
(() => {
  const page = document.getElementById("message");
  const processing = ["processing", "second_opinion"].includes(page.dataset.state);
  const mine = `id="m-${page.dataset.id}"`;
  const source = new EventSource(`/live?since=${encodeURIComponent(page.dataset.position)}`);

  function notice() {
    if (document.getElementById("moved") || document.querySelector("dialog[open]")) return;
    const said = document.createElement("p");
    said.id = "moved";
    said.setAttribute("role", "status");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = "Show it as it is now";
    button.addEventListener("click", () => location.reload());
    said.append("This message has changed. ", button);
    page.querySelector(".message-head").append(said);
  }

  function fresh(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.getElementById(`m-${page.dataset.id}`);
  }

  source.addEventListener("lines", (event) => {
    if (!event.data.includes(mine)) return;
    const now = fresh(event.data)?.dataset;
    // That it was just read by us, for one, changes nothing that the page shows.
    const same = ["state", "urgency", "categories", "assignee"].every(
      (name) => (now?.[name] ?? "") === (page.dataset[name] ?? ""),
    );
    if (same) return;
    if (processing && !document.querySelector("dialog[open]")) location.reload();
    else notice();
  });
  source.addEventListener("resync", () => {
    // Something may have been missed. Not more often than this, or processes that do not know one
    // another's places in the stream would have the page read again without end.
    const last = Number(sessionStorage.getItem("resynced") || 0);
    if (!processing || document.querySelector("dialog[open]") || Date.now() - last < 10000) return;
    sessionStorage.setItem("resynced", String(Date.now()));
    location.reload();
  });
  window.addEventListener("pagehide", () => source.close());
})();
