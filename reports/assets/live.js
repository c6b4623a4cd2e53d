// Exchanges the live part of the page when it has changed, and says so when the service does not answer.
"use strict";

const [PAUSE_MS, PATIENCE_MS] = [3000, 15000];
const live = document.getElementById("live");
const trouble = document.getElementById("trouble");
let shown = "";

function keepPlaces(change) {
  const places = [...live.querySelectorAll(".framed")].map((each) => each.scrollLeft);
  const focused = [...live.querySelectorAll(".framed")].indexOf(document.activeElement);
  change();
  const now = live.querySelectorAll(".framed");
  now.forEach((each, place) => { each.scrollLeft = places[place] || 0; });
  if (focused >= 0 && now[focused]) now[focused].focus({ preventScroll: true });
}

async function look() {
  try {
    const asked = { headers: { Accept: "text/html" }, redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) };
    const answer = await fetch(live.dataset.from, asked);
    if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (text !== shown && !String(getSelection())) { // what somebody is copying is left alone
      keepPlaces(() => { live.innerHTML = text; });
      shown = text;
    }
    trouble.hidden = true;
  } catch {
    trouble.textContent = "The service does not answer. Shown is what it said last.";
    trouble.hidden = false;
  }
  setTimeout(look, PAUSE_MS);
}

setTimeout(look, PAUSE_MS);
