// Keeps what is live on a page fresh. Every page works without it, by reloading.
"use strict";

const live = document.getElementById("live");

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (fresh && fresh.innerHTML !== live.innerHTML && !live.contains(document.activeElement)) {
      live.replaceChildren(...fresh.childNodes);
    }
  } catch {
    // The shop is away; the next look may find it.
  }
}

if (live) setInterval(refresh, 1000);
