/* Keys, selection and decisions, on the worklist and on a message's page. The server decides and
   answers with the lines as they are then; nothing here pretends that something is stored. */
"use strict";
(() => {
  const section = () => document.getElementById("worklist");
  const list = () => document.getElementById("lines");
  const change = document.getElementById("change");
  const help = document.getElementById("help");
  const page = document.getElementById("message");
  const work = () => (page || section())?.dataset.mayWork === "yes";
  let undoToken = null;
  let changing = [];
  let shown = {}; // what the change form had chosen when it opened

  const csrf = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
  const lines = () => [...(list()?.children ?? [])];
  let last = ""; // the id of the line that had the focus: a line may be replaced meanwhile
  document.addEventListener("focusin", (event) => {
    const line = event.target.closest(".line");
    if (line) last = line.id;
  });
  function cursor() {
    const active = document.activeElement;
    if (active && active !== document.body) return active.closest(".line");
    return document.getElementById(last);
  }
  const picked = () => lines().filter((line) => line.querySelector(".pick input").checked);
  const id = (line) => line.dataset.id;

  function targets() {
    if (page) return [page.dataset.id];
    const chosen = picked();
    if (chosen.length) return chosen.map(id);
    const here = cursor();
    return here ? [id(here)] : [];
  }

  // --- Telling -----------------------------------------------------------------------------------
  let fading = 0;
  function say(words, token, failed) {
    const box = document.getElementById("said");
    box.replaceChildren(document.createTextNode(words));
    box.classList.toggle("failed", Boolean(failed));
    if (token) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "link";
      button.textContent = "Undo (u)";
      button.addEventListener("click", undo);
      box.append(" ", button);
    }
    box.classList.add("shown");
    clearTimeout(fading);
    fading = setTimeout(() => box.classList.remove("shown"), 12000);
  }

  async function post(path, fields) {
    const body = new URLSearchParams(fields);
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        body,
        headers: { Accept: "application/json", "X-CSRF-Token": csrf() },
      });
    } catch {
      say("Not saved: the server cannot be reached. Try again.", null, true);
      return null;
    }
    if (response.redirected || response.status === 401) {
      location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      return null;
    }
    if (!response.ok) {
      const told = new DOMParser().parseFromString(await response.text(), "text/html");
      say(`Not saved. ${told.querySelector("main p")?.textContent ?? ""}`, null, true);
      return null;
    }
    return response.json();
  }

  function show(answer) {
    undoToken = answer.undo ?? null;
    if (page) {
      // The page holds history and audit too; it is short, so it is read again whole.
      sessionStorage.setItem("said", JSON.stringify(answer));
      location.reload();
      return;
    }
    say(answer.said, undoToken);
    const template = document.createElement("template");
    template.innerHTML = answer.lines;
    window.carelane.own([...template.content.querySelectorAll("li")], answer.position);
    for (const line of picked()) line.querySelector(".pick input").checked = false;
    bulk();
  }

  async function decide(action, more = {}, ids = targets()) {
    if (!ids.length || !work()) return;
    const fields = [["action", action], ...ids.map((each) => ["ids", each]), ...Object.entries(more)];
    const answer = await post("/messages/decide", fields);
    if (answer) show(answer);
  }

  async function undo() {
    if (!undoToken) return;
    const token = undoToken;
    undoToken = null;
    const answer = await post("/messages/undo", [["token", token]]);
    if (answer) show(answer);
  }

  // --- The change form ---------------------------------------------------------------------------
  function openChange(ids = targets()) {
    if (!ids.length || !change) return;
    changing = ids;
    const form = document.getElementById("change-form");
    form.reset();
    const line = ids.length === 1 ? document.getElementById(`m-${ids[0]}`) || page : null;
    shown = {};
    if (line) {
      const first = line.dataset.categories.trim().split(" ")[0];
      for (const [name, value] of [["category", first], ["urgency", line.dataset.urgency]]) {
        const box = value && form.querySelector(`[name=${name}][value="${CSS.escape(value)}"]`);
        if (!box) continue;
        box.checked = true;
        shown[name] = value;
      }
    }
    const title = ids.length === 1 ? "Change the label" : `Change ${ids.length} labels`;
    document.getElementById("change-title").textContent = title;
    change.showModal();
    (form.querySelector("[name=category]:checked") || form.querySelector("[name=category]")).focus();
  }

  function saveChange(event) {
    event.preventDefault();
    // Only what was changed: a label's further categories and its pool stay as they are.
    const all = Object.entries(Object.fromEntries(new FormData(event.target)));
    const fields = all.filter(([name, value]) => value !== shown[name] && value !== (name === "pool" ? "keep" : ""));
    change.close();
    if (fields.some(([name]) => name !== "reason")) decide("corrected", Object.fromEntries(fields), changing);
    else say("Nothing was changed: choose a category, an urgency or a pool.", null, true);
  }

  if (change) {
    document.getElementById("change-form").addEventListener("submit", saveChange);
    change.addEventListener("close", () => {
      document.getElementById(last)?.querySelector("a.open").focus({ preventScroll: true });
    });
    change.querySelector("[data-close]").addEventListener("click", () => change.close());
    change.addEventListener("keydown", (event) => {
      if (event.target.matches("input:not([type=radio]), select")) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const box = change.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
      if (box) {
        event.preventDefault();
        box.checked = true;
        box.focus();
      } else if (event.key === "Enter" && event.target.matches("[type=radio]")) {
        event.preventDefault();
        document.getElementById("change-form").requestSubmit();
      }
    });
  }

  // --- Giving to somebody ------------------------------------------------------------------------
  const giving = document.getElementById("assign");
  let givingIds = [];
  let staff = null;
  let loading = null;

  async function openGive(ids = targets()) {
    if (!ids.length || !giving || !work()) return;
    givingIds = ids;
    document.getElementById("assign-form").reset();
    document.getElementById("assign-title").textContent = ids.length === 1 ? "Give to" : `Give ${ids.length} messages to`;
    giving.showModal();
    document.getElementById("assign-name").focus();
    loading ??= loadStaff();
    await loading;
    matched();
  }

  async function loadStaff() {
    const response = await fetch("/staff").catch(() => null);
    if (response?.ok && !response.redirected) staff = (await response.json()).names;
    else loading = null; // asked again the next time
    document.getElementById("staff").replaceChildren(...(staff ?? []).map((name) => new Option(name)));
  }

  /* The one whose name it is, or the first whose name, or a part of it, begins so. */
  function match() {
    const typed = document.getElementById("assign-name").value.trim().toLowerCase();
    if (!typed || !staff) return typed || null;
    const parts = (name) => [name, ...name.split(/[._@-]/)];
    return staff.find((name) => name === typed) ?? staff.find((name) => parts(name).some((part) => part.startsWith(typed))) ?? null;
  }

  function matched() {
    const typed = document.getElementById("assign-name").value.trim();
    const name = match();
    const told = document.getElementById("assign-match");
    if (!staff) told.textContent = "";
    else if (typed) told.textContent = name ? `Gives to ${name}` : "Nobody here is called so";
    else told.textContent = `${staff.slice(0, 8).join(", ")}${staff.length > 8 ? ", …" : ""}`;
  }

  if (giving) {
    document.getElementById("assign-name").addEventListener("input", matched);
    document.getElementById("assign-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      await loading; // who types faster than the names come
      const name = match();
      if (!name) return;
      giving.close();
      decide("assigned", { to: name }, givingIds);
    });
    giving.addEventListener("close", () => {
      document.getElementById(last)?.querySelector("a.open").focus({ preventScroll: true });
    });
    giving.querySelector("[data-close]").addEventListener("click", () => giving.close());
  }

  // --- Selection ---------------------------------------------------------------------------------
  function bulk() {
    const bar = document.getElementById("bulk");
    if (!bar) return;
    const count = picked().length;
    bar.hidden = count === 0;
    document.getElementById("bulk-count").textContent = `${count} selected`;
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches(".pick input")) bulk();
  });

  function clear() {
    for (const line of picked()) line.querySelector(".pick input").checked = false;
    bulk();
  }

  // --- Keys --------------------------------------------------------------------------------------
  function step(by) {
    const all = lines();
    if (!all.length) return;
    const at = all.indexOf(cursor());
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
    const link = all[next].querySelector("a.open");
    link.focus({ preventScroll: true });
    all[next].scrollIntoView({ block: "nearest" });
    if (by > 0 && next >= all.length - 3) window.carelane.showMore();
  }

  function current(name) {
    const line = page || (picked().length ? null : cursor());
    return line ? line.dataset[name] : null;
  }

  function assign() {
    const me = (page || section()).dataset.user;
    decide("assigned", { to: current("assignee") === me ? "nobody" : "me" });
  }

  // Speech input and tremor type letters that nobody meant; each user can turn the keys off here.
  const KEYS = `carelane-keys:${(page || section())?.dataset.user}`;
  function keysOn() {
    try {
      return localStorage.getItem(KEYS) !== "off";
    } catch {
      return true; // a browser that stores nothing
    }
  }
  const keysBox = document.getElementById("keys-on");
  if (keysBox) {
    keysBox.checked = keysOn();
    keysBox.addEventListener("change", () => {
      try {
        localStorage.setItem(KEYS, keysBox.checked ? "on" : "off");
      } catch {
        keysBox.checked = true;
        say("This browser does not keep the choice, so the keys stay on.", null, true);
      }
    });
  }
  if (window.carelane) window.carelane.keysOn = keysOn;

  const urgencies = { 1: "emergent", 2: "urgent", 3: "routine" };
  /* What a key sets by itself: an urgency, with Shift a category, from 4 on a pool. */
  function setBy(event) {
    if (urgencies[event.key]) return { urgency: urgencies[event.key] };
    if (event.shiftKey && /^[a-z]$/i.test(event.key)) {
      const box = change?.querySelector(`[name=category][data-key="${event.key.toLowerCase()}"]`);
      return box && { category: box.value };
    }
    const place = event.key.length === 1 ? "4567890".indexOf(event.key) : -1;
    const pool = place < 0 ? null : [...(change?.querySelectorAll("[name=pool] option") ?? [])][place + 2];
    return pool && { pool: pool.value };
  }
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    a: () => decide("accepted"),
    c: () => openChange(),
    m: assign,
    t: () => openGive(),
    d: () => decide(current("state") === "done" ? "reopened" : "done"),
    u: undo,
    x: () => {
      const box = cursor()?.querySelector(".pick input");
      if (box) {
        box.checked = !box.checked;
        bulk();
      }
    },
    w: () => document.getElementById("ask-why")?.click(),
    g: () => location.assign("/"),
    "/": () => document.getElementById("q")?.focus(),
    "?": () => help?.showModal(),
    Escape: clear,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.target.matches("textarea, select, input:not([type=checkbox])")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key !== "Escape" && !keysOn()) return;
    const set = setBy(event);
    // Letters act alike with the caps lock on; with Shift they mean categories and nothing else.
    const letter = /^[a-z]$/i.test(event.key);
    const key = letter ? (event.shiftKey ? null : event.key.toLowerCase()) : event.key;
    const act = set ? () => decide("corrected", set) : keys[key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const what = button.dataset.do;
    if (what === "change") openChange();
    else if (what === "clear") clear();
    else if (what === "help") help?.showModal();
    else if (what === "assigned") assign();
    else if (what === "give") openGive();
    else if (what === "undo") undo();
    else if (what === "assign-to") decide("assigned", { to: document.getElementById("assign-to").value });
    else decide(what);
  });

  // A decision on a message's page reloads it; what was said comes after.
  const before = sessionStorage.getItem("said");
  if (before && page) {
    sessionStorage.removeItem("said");
    const answer = JSON.parse(before);
    undoToken = answer.undo ?? null;
    say(answer.said, undoToken);
  }
})();
