// The page is whole without this. With it, it is drawn anew when something has changed, unless somebody is writing.
"use strict";
const live = document.getElementById("live");
const say = (text) => { live.textContent = text; live.hidden = text === ""; };
let first = true;
let behind = false;
let latest = 0;

const writing = () => [...document.querySelectorAll("input[name=reason]")].some((input) => input.value !== "" || input === document.activeElement);

async function redraw() {
  if (writing()) {
    behind = true;
    say("Something has changed; the page follows when you are done writing.");
    return;
  }
  behind = false;
  const own = ++latest;
  let answer, text;
  try {
    answer = await fetch("/", { headers: { accept: "text/html" } });
    text = await answer.text();
  } catch {
    return say("The service does not answer; this page may be old.");
  }
  // Another one was begun meanwhile, or somebody has begun to write.
  if (own !== latest) return;
  if (writing()) { behind = true; return; }
  // The token was revoked: there is a page that asks for another.
  if (answer.redirected) return location.reload();
  if (!answer.ok) return say("The service refuses this page: load it again.");
  const next = new DOMParser().parseFromString(text, "text/html");
  document.title = next.title;
  document.querySelector("main").replaceWith(next.querySelector("main"));
  document.querySelector("header p").replaceWith(next.querySelector("header p"));
  say("");
}

const events = new EventSource("/events");
events.addEventListener("change", () => {
  if (first) { first = false; say(""); } else redraw();
});
events.onerror = () => say("The service does not answer; this page may be old.");
events.onopen = () => { if (!first) redraw(); };
// Ages grow without a change.
setInterval(() => { if (!first && !writing()) redraw(); }, 60_000);
document.addEventListener("focusout", () => { if (behind) setTimeout(redraw, 500); });
