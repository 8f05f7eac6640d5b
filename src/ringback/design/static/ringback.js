// What makes the pages more comfortable; every one of them works without it.
"use strict";

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const LOCAL = {
  year: "numeric", month: "short", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZoneName: "short",
};

const each = (root, selector, act) => {
  if (root.matches?.(selector)) act(root);
  root.querySelectorAll?.(selector).forEach(act);
};

// --- Time --------------------------------------------------------------------------------------------------

function written(seconds) {
  const parts = [];
  let left = Math.max(0, Math.ceil(seconds));
  for (const [name, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  return parts.length ? parts.slice(0, 2).join(" ") : "0 seconds";
}

function countDown(element) {
  // The server says how much is left: its clock need not be this one.
  const end = performance.now() + Number(element.dataset.left);
  const show = () => {
    const left = (end - performance.now()) / 1000;
    element.textContent = written(left);
    if (left <= 0) clearInterval(timer);
  };
  const timer = setInterval(show, 1000);
  show();
}

const localized = new WeakMap();

function showLocally(element) {
  const moment = new Date(element.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  const isToday = "near" in element.dataset && moment.toDateString() === new Date().toDateString();
  const text = isToday ? moment.toLocaleTimeString() : moment.toLocaleString(undefined, LOCAL);
  if (localized.get(element) === text && element.textContent === text) return;
  localized.set(element, text);
  element.title = `${element.dateTime} (UTC)`;
  element.textContent = text;
}

// --- Addresses ---------------------------------------------------------------------------------------------

// Behind a prefix that a proxy takes off, only the browser knows where the first page is.
const { base, root } = document.body.dataset;
const there = base && new URL(root, location.href).href.replace(/\/$/, "");

function showWhole(element) {
  const text = element.textContent;
  if (base && base !== there && !text.includes(there)) element.textContent = text.replaceAll(base, there);
}

// --- Copying -----------------------------------------------------------------------------------------------

const copying = new WeakSet();
// Said where nothing is renewed: what is, comes as the server wrote it.
if (navigator.clipboard) document.documentElement.dataset.copies = "";

function copyOnPress(button) {
  if (!navigator.clipboard || copying.has(button)) return;
  copying.add(button);
  const label = button.firstElementChild;
  const said = document.getElementById("said");
  button.addEventListener("click", async () => {
    const { copy, text } = button.dataset;
    try {
      await navigator.clipboard.writeText(text ?? document.getElementById(copy).textContent.trim());
      label.textContent = said.textContent = "Copied";
    } catch {
      label.textContent = said.textContent = "Refused";
    }
    setTimeout(() => { label.textContent = "Copy"; said.textContent = ""; }, 1500);
  });
}

// --- What changes by itself --------------------------------------------------------------------------------

// A page that waits for one thing asks for its state alone.
function watch(element) {
  const { watch: url, state, then } = element.dataset;
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(url, { headers: { accept: "application/json" } });
      if (answer.ok && (await answer.json()).state !== state) {
        clearInterval(timer);
        if (then) location.assign(then);
        else location.reload();
      }
    } catch {
      // The server is away; the next look may find it.
    }
  };
  const timer = setInterval(look, 2000);
}

// Parts with data-live="TOPIC ..." are asked for again when one of these happens: one stream for the whole tab, closed
// while nobody looks. Without a stream, time alone makes them be asked for.
const live = { stream: null, timer: 0, paused: false };

function renew(topics) {
  if (live.paused || document.querySelector("dialog[open]")) return;
  for (const part of document.querySelectorAll("[data-live]")) {
    const wanted = part.dataset.live.split(" ");
    if (topics.includes("time") || wanted.some((topic) => topics.includes(topic))) {
      part.dispatchEvent(new CustomEvent("renew"));
    }
  }
}

function poll() {
  live.stream?.close();
  live.stream = null;
  clearInterval(live.timer);
  live.timer = setInterval(() => renew(["time"]), 5000);
}

function listen() {
  const { stream: url } = document.body.dataset;
  live.stream?.close();
  live.stream = null;
  clearInterval(live.timer);
  if (document.hidden || !url || !document.querySelector("[data-live]")) return;
  live.stream = new EventSource(url);
  live.stream.onmessage = (event) => renew(event.data.split(" "));
  live.stream.onerror = () => { if (live.stream?.readyState === EventSource.CLOSED) poll(); };
}

function pauseOnPress(button) {
  button.classList.remove("needs-script");
  button.addEventListener("click", () => {
    live.paused = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(live.paused));
    if (!live.paused) renew(["time"]);
  });
}

// --- Keys --------------------------------------------------------------------------------------------------

function isTyping(target) {
  return target.closest("input, select, textarea, [contenteditable], dialog") !== null;
}

function step(by) {
  const rows = [...document.querySelectorAll("tbody th a[href], [data-row]")];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
  next?.focus();
}

// The action that `r` stands for: of the row that has the focus, or the first of the page. What is told below a row
// belongs to it.
function act() {
  const focused = document.activeElement?.closest("tr");
  const row = focused?.matches(".more") ? focused.previousElementSibling : focused;
  const first = (root) => root?.querySelector('[aria-keyshortcuts~="r"]');
  (first(row) ?? first(document))?.click();
}

function openHelp() {
  const help = document.getElementById("help");
  if (help && !help.open) help.showModal();
  return help !== null;
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  r: act,
  "?": openHelp,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
  const run = KEYS[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}

// --- All of it ---------------------------------------------------------------------------------------------

function dress(root) {
  each(root, "time[datetime]", showLocally);
  each(root, "[data-copy], [data-text]", copyOnPress);
  each(root, "[data-address]", showWhole);
}

each(document, "[data-left]", countDown);
each(document, "[data-watch]", watch);
each(document, "[data-pause]", pauseOnPress);
dress(document);
// Parts that were renewed are dressed before they are painted.
new MutationObserver((changes) => changes.forEach(({ target }) => dress(target.nodeType === 1 ? target : target.parentElement ?? document)))
  .observe(document.body, { childList: true, subtree: true, characterData: true });
document.addEventListener("visibilitychange", () => { listen(); if (!document.hidden) renew(["time"]); });
listen();
if (document.documentElement.hasAttribute("data-shortcuts")) document.addEventListener("keydown", onKey);
each(document, "[data-help]", (link) => link.addEventListener("click", (event) => { if (openHelp()) event.preventDefault(); }));
// Forms that say so are sent at once, or when a choice in them changes.
each(document, "form[data-submit]", (form) => form.requestSubmit());
each(document, "form[data-send]", (form) => form.addEventListener("change", (event) => { if (event.target.matches("select")) form.requestSubmit(); }));
