/* Keeps one message's page honest: while it is processing the page reads itself again when the label
   comes, and so it does when an explanation arrives; once there is a label, a notice says that
   somebody changed it, and nothing jumps. What the page reads by itself keeps no session alive. */
"use strict";
(() => {
  const BACKGROUND = { "X-Carelane-Background": "1" };
  const page = document.getElementById("message");
  const mine = `id="m-${page.dataset.id}"`;
  const source = new EventSource(`/live?since=${encodeURIComponent(page.dataset.position)}`);
  const processing = () => ["processing", "second_opinion"].includes(page.dataset.state);

  function busy() {
    const active = document.activeElement;
    return document.querySelector("dialog[open]") || (page.contains(active) && active.matches("select, input"));
  }

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

  /* What is open or has the focus stays so: found again in the new content by what it says. */
  const words = (element) => element.id || element.dataset.do || element.getAttribute("href") || element.textContent.trim();

  async function readAgain() {
    const response = await fetch(location.href, { headers: BACKGROUND }).catch(() => null);
    if (!response?.ok) return;
    if (response.redirected) {
      location.reload(); // signed out meanwhile
      return;
    }
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("message");
    if (!fresh || busy()) return;
    const active = page.contains(document.activeElement) ? document.activeElement : null;
    const focus = active && { tag: active.tagName, words: words(active) };
    const open = [...page.querySelectorAll("details[open] > summary")].map(words);
    page.replaceChildren(...fresh.childNodes);
    Object.assign(page.dataset, fresh.dataset);
    for (const summary of page.querySelectorAll("summary")) {
      if (open.includes(words(summary))) summary.parentElement.open = true;
    }
    if (focus) [...page.querySelectorAll(focus.tag)].find((each) => words(each) === focus.words)?.focus({ preventScroll: true });
  }

  // --- Explanations --------------------------------------------------------------------------------
  let looks = 0;
  function lookAgain() {
    if (page.dataset.waiting !== "yes" || looks > 60) return;
    setTimeout(look, Math.min(2000, 200 * 1.3 ** looks++));
  }

  async function look() {
    const response = await fetch(`/messages/${page.dataset.id}/explanations`, { headers: BACKGROUND }).catch(() => null);
    if (response?.ok && !response.redirected && !(await response.json()).waiting && !busy()) await readAgain();
    lookAgain();
  }

  // --- Stream --------------------------------------------------------------------------------------
  function line(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.getElementById(`m-${page.dataset.id}`);
  }

  source.addEventListener("lines", (event) => {
    if (!event.data.includes(mine)) return;
    const now = line(event.data)?.dataset;
    // That it was just read by us, for one, changes nothing that the page shows.
    const same = ["state", "urgency", "categories", "assignee"].every(
      (name) => (now?.[name] ?? "") === (page.dataset[name] ?? ""),
    );
    if (same) return;
    if (processing() && !busy()) readAgain();
    else notice();
  });
  source.addEventListener("resync", () => {
    // Something may have been missed. Not more often than this, or processes that do not know one
    // another's places in the stream would have the page read again without end.
    const last = Number(sessionStorage.getItem("resynced") || 0);
    if (!processing() || busy() || Date.now() - last < 10000) return;
    sessionStorage.setItem("resynced", String(Date.now()));
    readAgain();
  });
  window.addEventListener("pagehide", () => source.close());
  lookAgain();
})();
