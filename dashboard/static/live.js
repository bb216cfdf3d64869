/* Keeps an open worklist up to date from the server's stream of changed lines.

   A line changes in place at once. A line that would come in, move or leave waits while the pointer
   or the keyboard is on the list, so that nothing jumps away under the hand; a bar says how many
   wait. Without this script the list is a plain page of links. */
"use strict";
(() => {
  const COLLATE = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const section = () => document.getElementById("worklist");
  const list = () => document.getElementById("lines");
  const note = document.getElementById("live-state");
  const waiting = new Map(); // id -> new <li>, not yet placed
  let source = null;
  let hovering = false;
  let lastTouch = 0;

  // --- Ages --------------------------------------------------------------------------------------
  function words(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    const m = Math.floor(s / 60);
    if (m < 60) return `${m} min`;
    const h = Math.floor(m / 60);
    if (h < 24) return `${h} h ${String(m % 60).padStart(2, "0")} min`;
    return `${Math.floor(h / 24)} d ${h % 24} h`;
  }

  function age(line) {
    const seconds = (Date.now() - Date.parse(line.dataset.received)) / 1000;
    const time = line.querySelector("time");
    if (time) time.textContent = words(seconds);
    const due = line.querySelector(".due");
    if (due && line.dataset.targetMin) {
      const left = Number(line.dataset.targetMin) * 60 - seconds;
      due.textContent = left < 0 ? `${words(-left)} overdue` : `due in ${words(left)}`;
      due.classList.toggle("over", left < 0);
    }
    const working = line.querySelector(".working:not(.delayed)");
    if (working && seconds > 120) {
      working.classList.add("delayed");
      working.lastChild.textContent = "processing… delayed, being tried again";
    }
  }

  // --- Order -------------------------------------------------------------------------------------
  function order(a, b) {
    return (
      Number(a.dataset.rank) - Number(b.dataset.rank) ||
      COLLATE(a.dataset.received, b.dataset.received) ||
      COLLATE(a.id, b.id)
    );
  }

  function belongs(line) {
    return line.dataset.state !== "done";
  }

  function inReach(line) {
    // Later pages, and what sorts behind the last line of a full page, are not shown here.
    if (section().dataset.firstPage !== "yes") return false;
    const more = section().querySelector(".more");
    const last = list().lastElementChild;
    return !more || !last || order(line, last) < 0;
  }

  function place(line) {
    let before = null;
    for (const other of list().children) {
      if (other !== line && order(line, other) < 0) {
        before = other;
        break;
      }
    }
    if (before !== line.nextElementSibling || line.parentElement !== list()) {
      list().insertBefore(line, before);
    }
  }

  function outOfPlace(line) {
    const { previousElementSibling: above, nextElementSibling: below } = line;
    return (above && order(above, line) > 0) || (below && order(line, below) > 0);
  }

  // --- Changes -----------------------------------------------------------------------------------
  function held() {
    return hovering || list().contains(document.activeElement) || Date.now() - lastTouch < 3000;
  }

  function change(fresh) {
    age(fresh);
    const shown = document.getElementById(fresh.id);
    if (shown && list().contains(shown)) {
      const focus = shown.contains(document.activeElement);
      if (shown.classList.contains("cursor")) fresh.classList.add("cursor");
      shown.replaceWith(fresh);
      fresh.classList.add("changed");
      if (focus) fresh.querySelector("a").focus({ preventScroll: true });
      if (!belongs(fresh) || outOfPlace(fresh)) waiting.set(fresh.id, fresh);
      else waiting.delete(fresh.id);
    } else if (belongs(fresh) && inReach(fresh)) {
      waiting.set(fresh.id, fresh);
    } else {
      waiting.delete(fresh.id);
    }
  }

  function settle() {
    for (const line of waiting.values()) {
      if (!belongs(line)) {
        line.remove();
        continue;
      }
      const isNew = !line.parentElement;
      place(line);
      if (isNew) line.classList.add("arrived");
    }
    waiting.clear();
    document.getElementById("empty").hidden = list().children.length > 0;
    bar();
  }

  function bar() {
    let element = document.getElementById("waiting");
    if (!waiting.size) {
      if (element) element.hidden = true;
      return;
    }
    if (!element) {
      element = document.createElement("button");
      element.id = "waiting";
      element.type = "button";
      element.addEventListener("click", settle);
      section().append(element); // fixed in place: it must not push the list
    }
    const lines = [...waiting.values()];
    const urgent = lines.filter((line) => line.dataset.urgency === "emergent").length;
    const count = lines.length === 1 ? "1 line" : `${lines.length} lines`;
    element.textContent = `${count} to bring in or move${urgent ? `, ${urgent} possible ${urgent === 1 ? "emergency" : "emergencies"}` : ""}. Show now (n)`;
    element.classList.toggle("emergent", urgent > 0);
    element.hidden = false;
  }

  function later() {
    if (waiting.size && !held()) settle();
    else bar();
  }

  // --- Stream ------------------------------------------------------------------------------------
  function say(text, kind) {
    note.textContent = text;
    note.className = `live-state ${kind}`;
  }

  function readAnew() {
    // Not all viewers in the same moment.
    setTimeout(async () => {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.redirected) location.reload();
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("lines");
      if (!fresh) return;
      const seen = new Set();
      for (const line of [...fresh.children]) {
        seen.add(line.id);
        change(document.adoptNode(line));
      }
      for (const line of [...list().children]) if (!seen.has(line.id)) line.remove();
      swapCounts(page.getElementById("counts"));
      section().dataset.position = page.getElementById("worklist").dataset.position;
      later();
    }, Math.random() * 1000);
  }

  function swapCounts(fresh) {
    if (fresh) document.getElementById("counts").replaceChildren(...fresh.childNodes);
  }

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  function connect() {
    source = new EventSource(`/live?since=${encodeURIComponent(section().dataset.position)}`);
    source.addEventListener("open", () => say("Live", "on"));
    source.addEventListener("lines", (event) => {
      say("Live", "on");
      for (const line of [...parse(event.data).querySelectorAll("li")]) change(line);
      later();
    });
    source.addEventListener("counts", (event) => swapCounts(parse(event.data).querySelector("ul")));
    source.addEventListener("resync", () => {
      say("Live", "on");
      readAnew();
    });
    source.addEventListener("lost", () => say("Database away: the list may be out of date", "off"));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) {
        // The server refused: signed out, or restarting behind a proxy.
        say("Not connected: the list may be out of date", "off");
        setTimeout(reconnect, 2000 + Math.random() * 2000);
      } else {
        say("Reconnecting: the list may be out of date", "off");
      }
    });
  }

  async function reconnect() {
    try {
      const response = await fetch("/session");
      if (response.redirected || response.status === 401) {
        location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
        return;
      }
    } catch {
      setTimeout(reconnect, 3000);
      return;
    }
    connect();
    readAnew();
  }

  // --- Start -------------------------------------------------------------------------------------
  document.addEventListener("pointermove", (event) => {
    const on = event.pointerType === "mouse" && list().contains(event.target);
    if (hovering && !on) setTimeout(later, 50);
    hovering = on;
  });
  document.addEventListener("touchstart", () => (lastTouch = Date.now()), { passive: true });
  document.documentElement.addEventListener("pointerleave", () => {
    hovering = false;
    later();
  });
  document.addEventListener("focusout", () => setTimeout(later, 50));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "n" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) settle();
  });
  setInterval(() => {
    for (const line of list().children) age(line);
    later();
  }, 5000);
  window.addEventListener("pagehide", () => source && source.close());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  for (const line of list().children) age(line);
  connect();
})();
