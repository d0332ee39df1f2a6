// The pages are whole without this. With it, they follow the queue, and show times as this place has them.
//
// One file in two places: as the script of each tab, and as the worker that all tabs of a browser share. The worker holds
// the stream, because a browser opens only six connections to a service. A tab that nobody sees rests, and catches up when
// it is seen again.
"use strict";

// The stream of changes, while it is needed. `tell` hears the number of a change, "lost" or "refused".
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
    events.addEventListener("change", ({ data }) => tell(Number(data)));
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
  let last = 0;
  const stream = changes((news) => {
    if (typeof news === "number") last = news;
    ports.forEach((port) => port.postMessage(news));
  });
  self.onconnect = ({ ports: [port] }) => {
    port.onmessage = ({ data }) => {
      if (data === "rest") {
        ports.delete(port);
        if (ports.size === 0) stream.rest();
        return;
      }
      ports.add(port);
      // There may have been a change while this tab rested.
      if (stream.isOpen()) port.postMessage(last);
      stream.follow();
    };
  };
}

function bePage() {
  const live = document.getElementById("live");
  // Only the pages of the queue follow it; a refusal has no address.
  const { address } = document.documentElement.dataset;
  if (live === null || !address) return;
  const say = (text) => { live.textContent = text; live.hidden = text === ""; };
  const LOST = "The service does not answer; this page may be old.";
  // The shortest time between two looks at a queue that keeps changing.
  const PACE = 1_000;
  let mark = "";
  // How far the clock of this machine is ahead of the service's.
  let ahead = 0;
  let busy = false;
  let wanted = null;
  let rested = 0;

  async function look(change) {
    if (document.hidden) return;
    if (busy) { wanted = change; return; }
    busy = true;
    const begun = performance.now();
    try {
      await redraw(change);
    } catch {
      say(LOST);
    }
    // A page that is slow to draw is drawn less often: it takes a tenth of the time at most.
    const took = performance.now() - begun;
    rested = setTimeout(() => {
      busy = false;
      const next = wanted;
      wanted = null;
      if (next !== null) look(next);
    }, Math.max(PACE - took, 9 * took));
  }

  async function redraw(change) {
    const headers = { accept: "text/html", "x-change": String(change), "if-none-match": mark };
    const answer = await fetch(address, { headers });
    // The token was revoked, or the user has signed out: another page asks for a token.
    if (answer.redirected) {
      if (isInUse(document.body)) return say("You are signed out: copy what you wrote, and sign in again.");
      return location.reload();
    }
    const date = Date.parse(answer.headers.get("date"));
    if (!Number.isNaN(date)) ahead = Date.now() - date;
    if (answer.status === 304) return say("");
    const text = await answer.text();
    if (!answer.ok && answer.status !== 404) return say("The service cannot show this page now: it is shown again after the next change.");
    mark = answer.headers.get("etag") ?? "";
    const next = new DOMParser().parseFromString(text, "text/html");
    document.title = next.title;
    // What somebody fills in stays under their eyes, although what is around it moves.
    const held = document.activeElement;
    const top = held.getBoundingClientRect().top;
    for (const part of ["top", "main"]) {
      const [old, fresh] = [document.getElementById(part), next.getElementById(part)];
      if (old !== null && fresh !== null) Idiomorph.morph(old, fresh, { ignoreActiveValue: true, callbacks: KEEP });
    }
    tell(document);
    if (held.matches("input, select") && document.activeElement === held) scrollBy(0, held.getBoundingClientRect().top - top);
    say("");
  }

  // What somebody has opened stays open. What somebody fills in stays as it is, and where it is. What became of a form is
  // said until another page is opened.
  const isInUse = (node) => node.nodeType === Node.ELEMENT_NODE
    && [...node.querySelectorAll(".ask[open] input:not([type=hidden])")].some((input) => input.value !== "" || input === document.activeElement);
  const isChosen = (select) => select.selectedIndex === Math.max(0, [...select.options].findIndex((option) => option.defaultSelected));
  const isSifted = (form) => [...form.querySelectorAll("input")].some((input) => input.value !== input.defaultValue)
    || ![...form.querySelectorAll("select")].every(isChosen);
  const KEEP = {
    beforeNodeMorphed: (node) => node.nodeType !== Node.ELEMENT_NODE
      || !((node.matches(".ask") && isInUse(node)) || (node.matches(".sift, .find") && isSifted(node))),
    beforeNodeRemoved: (node) => {
      if (node.id === "said") return false;
      if (!isInUse(node)) return true;
      node.classList.add("old");
      return false;
    },
    beforeAttributeUpdated: (name, node) => !(name === "open" && node.nodeName === "DETAILS"),
  };

  // Times, as the service writes them, become those of this place, and ages grow.
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  const short = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  function age(seconds) {
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    const days = Math.floor(hours / 24);
    const two = (first, one, second, other) => (second === 0 ? `${first}${one}` : `${first}${one} ${second}${other}`);
    if (minutes < 1) return "less than 1m";
    if (hours < 1) return `${minutes}m`;
    return days < 1 ? two(hours, "h", minutes % 60, "m") : two(days, "d", hours % 24, "h");
  }
  function tell(root) {
    const now = Date.now() - (Math.abs(ahead) < 30_000 ? 0 : ahead);
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const isToday = day.format(at) === day.format(now);
      const long = age(Math.max(0, (now - at) / 1_000));
      const text = time.className === "age" ? `${long} ago`
        : time.className === "long" ? long
        : isToday ? short.format(at) : `${day.format(at)}, ${short.format(at)}`;
      const title = exact.format(at);
      if (time.textContent !== text) time.textContent = text;
      if (time.title !== title) time.title = title;
    }
  }

  const hear = (news) => { if (news === "lost") say(LOST); else look(news === "refused" ? 0 : news); };

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
  addEventListener("pagehide", () => { clearTimeout(rested); line.rest(); });
  addEventListener("pageshow", (event) => { if (event.persisted) { busy = false; attend(); } });
  // A form that is opened is filled in next.
  document.addEventListener("toggle", ({ target }) => {
    if (target.matches("details.ask[open]")) target.querySelector("input[name=reason]").focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const form = event.key === "Escape" && event.target.closest(".ask[open]");
    if (!form) return;
    form.open = false;
    form.querySelector("summary").focus();
  });
  // The answer to a form has its address: to load it again would send the form again.
  history.replaceState(null, "", address);
  tell(document);
  attend();
  // Ages grow, and some things change with time alone: a lease that runs out, the last hour.
  setInterval(() => { if (!document.hidden) { tell(document); look(0); } }, 20_000);
}
