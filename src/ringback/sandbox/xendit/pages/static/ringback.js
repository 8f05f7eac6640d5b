// Counts down, writes times in the reader's own zone, and looks whether a state has changed.
// Every page works without it.
"use strict";

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

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

function showLocally(element) {
  const moment = new Date(element.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  element.title = `${element.dateTime} (UTC)`;
  element.textContent = moment.toLocaleString(undefined, {
    year: "numeric", month: "short", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZoneName: "short",
  });
}

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
      // The sandbox is away; the next look may find it.
    }
  };
  const timer = setInterval(look, 2000);
}

function copyOnPress(button) {
  if (!navigator.clipboard) return;
  button.classList.remove("needs-script");
  const label = button.firstElementChild;
  const said = document.getElementById("said");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      label.textContent = said.textContent = "Copied";
    } catch {
      label.textContent = said.textContent = "Refused";
    }
    setTimeout(() => { label.textContent = "Copy"; said.textContent = ""; }, 1500);
  });
}

document.querySelectorAll("[data-left]").forEach(countDown);
document.querySelectorAll("time[datetime]").forEach(showLocally);
document.querySelectorAll("[data-watch]").forEach(watch);
document.querySelectorAll("[data-copy]").forEach(copyOnPress);
