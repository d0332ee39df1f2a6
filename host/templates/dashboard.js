// The page is whole without this. With it, it is drawn anew when something has changed, unless a form is being filled in.
//
// One file in two places: as the script of each tab, and as the worker that all tabs of a browser share. The worker holds
// the stream, because a browser opens only six connections to a service. A tab that nobody sees rests, and catches up when
// it is seen again.
"use strict";

// The stream of changes, while it is needed. `tell` hears "change", "lost" or "refused".
function changes(tell) {
  const PAUSE = 5_000;
  let events = null;
  let again = 0;
  const rest = () => {
    clearTimeout(again);
    if (events) events.close();
    events = null;
  };
  const follow = () => {
    if (events) return;
    clearTimeout(again);
    events = new EventSource("/v1/events");
    // One comes at the start: whatever has changed before it is seen then.
    events.addEventListener("change", () => tell("change"));
    events.onerror = () => {
      if (events.readyState !== EventSource.CLOSED) return tell("lost");
      // It was refused, and a browser does not ask again then.
      rest();
      again = setTimeout(follow, PAUSE);
      tell("refused");
    };
  };
  return { follow, rest, isOpen: () => events !== null && events.readyState === EventSource.OPEN };
}

if (typeof SharedWorkerGlobalScope !== "undefined") beWorker(); else bePage();

function beWorker() {
  const ports = new Set();
  const stream = changes((what) => ports.forEach((port) => port.postMessage(what)));
  self.onconnect = ({ ports: [port] }) => {
    port.onmessage = ({ data }) => {
      if (data === "rest") {
        ports.delete(port);
        if (ports.size === 0) stream.rest();
        return;
      }
      ports.add(port);
      // There may have been a change while this tab rested.
      if (stream.isOpen()) port.postMessage("change");
      stream.follow();
    };
  };
}

function bePage() {
  const live = document.getElementById("live");
  const say = (text) => { live.textContent = text; live.hidden = text === ""; };
  let behind = false;
  let latest = 0;

  const writing = () => [...document.querySelectorAll("input[name=reason]")].some((input) => input.value !== "" || input === document.activeElement);

  async function redraw() {
    if (document.hidden) return;
    const own = ++latest;
    let answer, text;
    try {
      answer = await fetch("/", { headers: { accept: "text/html" } });
      text = await answer.text();
    } catch {
      return say("The service does not answer; this page may be old.");
    }
    // Another one was begun meanwhile.
    if (own !== latest) return;
    // The token was revoked, or the user has signed out: another page asks for a token.
    if (answer.redirected) return location.reload();
    if (!answer.ok) return say("The service refuses this page: load it again.");
    const next = new DOMParser().parseFromString(text, "text/html");
    const [old, main] = [document.querySelector("main"), next.querySelector("main")];
    for (const open of old.querySelectorAll("details[open]")) {
      main.querySelector(`#${open.id}`)?.setAttribute("open", "");
    }
    const isNew = old.innerHTML !== main.innerHTML;
    behind = isNew && writing();
    if (behind) return say("Something has changed; the page follows when you are done writing.");
    document.title = next.title;
    if (isNew) old.replaceWith(main);
    document.querySelector("header p").replaceWith(next.querySelector("header p"));
    say("");
  }

  const hear = (what) => {
    if (what === "lost") say("The service does not answer; this page may be old."); else redraw();
  };

  // The worker, or a stream of this tab's own where there are no workers.
  let line = null;
  const alone = () => { line = changes(hear); };
  if (typeof SharedWorker === "undefined") alone(); else {
    const worker = new SharedWorker("/dashboard.js");
    worker.port.onmessage = ({ data }) => hear(data);
    line = { follow: () => worker.port.postMessage("follow"), rest: () => worker.port.postMessage("rest") };
    worker.onerror = () => { alone(); attend(); };
  }

  const attend = () => { if (document.hidden) line.rest(); else line.follow(); };
  document.addEventListener("visibilitychange", attend);
  addEventListener("pagehide", () => line.rest());
  addEventListener("pageshow", (event) => { if (event.persisted) attend(); });
  attend();
  // Ages grow without a change.
  setInterval(() => { if (!writing()) redraw(); }, 60_000);
  document.addEventListener("focusout", () => { if (behind) setTimeout(redraw, 500); });
}
