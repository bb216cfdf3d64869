/* Keeps an open worklist up to date from the server's stream of changed lines.

   A line changes in place at once. A line that would come in, move or leave waits while the pointer
   or the keyboard is on the list, so that nothing jumps away under the hand; a bar says how many
   wait. Without this script the list is a plain page of links. */
"use strict";
(() => {
  const COLLATE = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  // What the page reads by itself must not keep a session that nobody uses.
  const BACKGROUND = { "X-Carelane-Background": "1" };
  const section = () => document.getElementById("worklist");
  const list = () => document.getElementById("lines");
  const note = document.getElementById("live-state");
  const waiting = new Map(); // id -> new <li>, not yet placed
  const recent = []; // [position, html] of the last events
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
    if (h < 24) return m % 60 ? `${h} h ${String(m % 60).padStart(2, "0")} min` : `${h} h`;
    return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
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
    const byTime = COLLATE(a.dataset.received, b.dataset.received) || COLLATE(a.dataset.id, b.dataset.id);
    if (section().dataset.newestFirst === "yes") return -byTime;
    return Number(a.dataset.rank) - Number(b.dataset.rank) || byTime;
  }

  const PROCESSING = ["processing", "second_opinion"];

  /* Whether the list's filters ask for this line; the same rules as dashboard/queries.py. */
  function belongs(line) {
    const wants = JSON.parse(section().dataset.filters);
    const has = line.dataset;
    const seconds = (Date.now() - Date.parse(has.received)) / 1000;
    if (has.gone) return false;
    if (wants.show === "open" && has.state === "done") return false;
    if (wants.show === "processing" && !PROCESSING.includes(has.state)) return false;
    if (["needs_review", "labelled", "done"].includes(wants.show) && has.state !== wants.show) return false;
    if (wants.rank !== undefined && Number(has.rank) !== wants.rank) return false;
    if (wants.pool && has.pool !== wants.pool) return false;
    if (wants.category && !has.categories.split(" ").includes(wants.category)) return false;
    if (wants.tier && has.tier !== wants.tier) return false;
    if (wants.unread && !line.classList.contains("unread")) return false;
    if (wants.mine && has.assignee !== wants.mine) return false;
    if (wants.age === "hour" && seconds > 3600) return false;
    if (wants.age === "day" && seconds < 86400) return false;
    if (wants.age === "overdue" && !(has.targetMin && seconds > Number(has.targetMin) * 60)) return false;
    return true;
  }

  function inReach(line) {
    // Only the server knows what a search finds; it is asked again now and then.
    if (JSON.parse(section().dataset.filters).q) {
      searchAgain();
      return false;
    }
    // Later pages, and what sorts behind the last line of a full page, are not shown here.
    if (section().dataset.firstPage !== "yes") return false;
    return beforeMore(line);
  }

  /* "Show more" goes on after a fixed place; what sorts behind it comes with the next page. */
  function beforeMore(line) {
    const more = document.querySelector("#more a");
    return !more || order(line, more) <= 0;
  }

  /* The list is shorter: say so only when nothing is left, else fetch what comes after it. */
  function shortened() {
    const more = document.querySelector("#more a");
    const count = list().children.length;
    document.getElementById("empty").hidden = count > 0 || Boolean(more);
    if (more && count < 10) showMore();
  }

  function showMore() {
    const more = document.querySelector("#more a");
    // One click for one link: while it is under way the link is still there.
    if (!more || more.dataset.clicked) return;
    more.dataset.clicked = "yes";
    more.click();
  }

  let searching = 0;
  function searchAgain() {
    if (searching) return;
    searching = setTimeout(() => {
      searching = 0;
      readAnew();
    }, 5000);
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

  const number = (position) => Number(position.split(":")[1]);
  const epoch = (position) => position.split(":")[0];
  const older = (a, b) => epoch(a) !== epoch(b) || number(a) < number(b);

  /* `position`: the place in the stream that this line is at least as new as. */
  function change(fresh, position, known = false) {
    age(fresh);
    fresh.dataset.position = position;
    const shown = document.getElementById(fresh.id);
    if (shown && list().contains(shown)) {
      const had = shown.dataset.position;
      // An answer that took its time must not bring an older state back.
      if (had && epoch(had) === epoch(position) && number(had) > number(position)) return;
      const focus = shown.contains(document.activeElement);
      fresh.querySelector(".pick input").checked = shown.querySelector(".pick input").checked;
      shown.replaceWith(fresh);
      fresh.classList.add("changed");
      if (focus) fresh.querySelector("a.open").focus({ preventScroll: true });
      if (!belongs(fresh) || outOfPlace(fresh) || !beforeMore(fresh)) waiting.set(fresh.id, fresh);
      else waiting.delete(fresh.id);
    } else if (known || (belongs(fresh) && inReach(fresh))) {
      waiting.set(fresh.id, fresh);
    } else {
      waiting.delete(fresh.id);
    }
  }

  function settle() {
    for (const line of waiting.values()) {
      if (!belongs(line) || (section().dataset.firstPage === "yes" && !beforeMore(line))) {
        line.remove();
        continue;
      }
      if (line.isConnected && !list().contains(line)) continue;
      const isNew = !line.isConnected;
      if (isNew) document.getElementById(line.id)?.remove();
      place(line);
      if (isNew) line.classList.add("arrived");
    }
    waiting.clear();
    shortened();
    bar();
  }

  function bar() {
    let element = document.getElementById("waiting");
    if (!waiting.size) {
      if (element) element.hidden = true;
      tell("", 0);
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
    tell(element.textContent, urgent);
  }

  /* For screen readers: when lines begin to wait and when an emergency joins, not at every line. */
  let toldUrgent = 0;
  function tell(text, urgent) {
    const twin = document.getElementById("waiting-said");
    if (!text || !twin.textContent || urgent > toldUrgent) twin.textContent = text;
    toldUrgent = urgent;
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

  async function readAnew() {
    const url = new URL(location.href);
    url.searchParams.set("lines", Math.min(500, Math.max(50, list().children.length)));
    const response = await fetch(url, { headers: BACKGROUND }).catch(() => null);
    if (!response?.ok) return;
    if (response.redirected) {
      location.reload();
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("lines");
    if (!fresh) return;
    const position = page.getElementById("worklist").dataset.position;
    const seen = new Set();
    for (const line of [...fresh.children]) {
      seen.add(line.id);
      change(document.adoptNode(line), position, true);
    }
    for (const line of list().children) {
      if (seen.has(line.id)) continue;
      line.dataset.gone = "yes";
      waiting.set(line.id, line);
    }
    document.getElementById("more").replaceChildren(...page.getElementById("more").childNodes);
    htmx.process(document.getElementById("more"));
    section().dataset.position = position;
    later();
  }

  function showCounts(counts) {
    for (const element of document.querySelectorAll("[data-count]")) {
      const count = counts[element.dataset.count] ?? 0;
      element.textContent = element.dataset.title ? `${element.dataset.title} (${count})` : count;
    }
  }

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  function take(html, position) {
    for (const line of [...parse(html).querySelectorAll("li")]) change(line, position);
    later();
  }

  /* A list that htmx just put in was read some moments ago: what came since is applied again. */
  function catchUp(read = section().dataset.position) {
    waiting.clear();
    again(read);
    for (const line of list().children) age(line);
    shortened();
    bar();
  }

  function again(read) {
    for (const [position, html] of recent) {
      if (epoch(position) === epoch(read) && number(position) > number(read)) take(html, position);
    }
  }

  /* The next page was put below. A line that moved meanwhile may be there twice; the newer stays. */
  function appended(read) {
    const all = new Map();
    for (const line of [...list().children]) {
      const had = all.get(line.id);
      if (!had) all.set(line.id, line);
      else if (had.dataset.position && !older(had.dataset.position, read)) line.remove();
      else {
        const focus = had.contains(document.activeElement);
        line.querySelector(".pick input").checked = had.querySelector(".pick input").checked;
        had.replaceWith(line);
        if (focus) line.querySelector("a.open").focus({ preventScroll: true });
        waiting.delete(line.id);
        if (outOfPlace(line)) waiting.set(line.id, line);
        all.set(line.id, line);
      }
    }
    for (const line of list().children) {
      const waits = waiting.get(line.id);
      if (waits && waits !== line && older(waits.dataset.position, read)) waiting.delete(line.id);
      line.dataset.position ??= read;
      age(line);
    }
    again(read);
    shortened();
    later();
  }

  function connect() {
    source = new EventSource(`/live?since=${encodeURIComponent(section().dataset.position)}`);
    source.addEventListener("open", () => say("Live", "on"));
    source.addEventListener("lines", (event) => {
      say("Live", "on");
      recent.push([event.lastEventId, event.data]);
      if (recent.length > 200) recent.shift();
      take(event.data, event.lastEventId);
    });
    source.addEventListener("counts", (event) => showCounts(JSON.parse(event.data)));
    source.addEventListener("resync", () => {
      say("Live", "on");
      // Not all viewers in the same moment.
      setTimeout(readAnew, Math.random() * 1000);
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
      const response = await fetch("/session", { headers: BACKGROUND });
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
    if (event.key === "n" && !typing && window.carelane.keysOn() && !event.ctrlKey && !event.metaKey && !event.altKey) settle();
  });
  setInterval(() => {
    for (const line of list().children) age(line);
    later();
  }, 5000);
  let lastPage = null;
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "worklist") catchUp();
    else if (event.detail.target?.id === "lines") {
      // The event comes once for each new line.
      if (event.detail.xhr === lastPage) return;
      lastPage = event.detail.xhr;
      const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
      appended(page.getElementById("worklist")?.dataset.position ?? section().dataset.position);
    } else for (const line of list().children) age(line);
  });
  for (const failed of ["htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(failed, () => delete document.querySelector("#more a")?.dataset.clicked);
  }
  window.addEventListener("pagehide", () => source && source.close());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  /* What one has decided oneself takes effect at once, and the keyboard goes on to the next line. */
  function own(lines, position) {
    for (const fresh of lines) {
      const shown = document.getElementById(fresh.id);
      const next = shown?.contains(document.activeElement) && (shown.nextElementSibling || shown.previousElementSibling);
      change(fresh, position);
      // The stream may have been quicker than the answer: then its line is the one on the page.
      const now = document.getElementById(fresh.id);
      if (shown && now && list().contains(now) && !belongs(now)) {
        waiting.delete(now.id);
        now.remove();
        if (next && next.isConnected) next.querySelector("a.open").focus({ preventScroll: true });
      } else if (!shown && waiting.has(fresh.id)) {
        waiting.delete(fresh.id);
        place(fresh);
      }
    }
    shortened();
    bar();
  }
  window.carelane = { own, showMore, keysOn: () => true };

  for (const line of list().children) age(line);
  connect();
})();
