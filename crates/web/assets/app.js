// What the page adds to what the server made: it renews itself, counts down, asks before it stops something, and remembers dark or light.
"use strict";

const main = () => document.getElementById("main");
const live = document.getElementById("live");

// Dark or light.
const theme = document.getElementById("theme");
const root = document.documentElement;
const known = localStorage.getItem("theme");
if (known === "dark" || known === "light") root.dataset.theme = known;
theme.hidden = false;
theme.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// `/` goes to the search.
document.addEventListener("keydown", (event) => {
  const search = document.getElementById("search");
  if (event.key === "/" && search && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    search.focus();
  }
});

// Asks before something that cannot be undone.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Distances, as the server writes them.
function relative(at, now) {
  const seconds = Math.trunc(Math.abs(at - now) / 1000);
  if (seconds === 0) return "now";
  const text = seconds < 120 ? `${seconds}s`
    : seconds < 7200 ? `${Math.trunc(seconds / 60)}m`
    : seconds < 172800 ? `${Math.trunc(seconds / 3600)}h`
    : `${Math.trunc(seconds / 86400)}d`;
  return at < now ? `${text} ago` : `in ${text}`;
}

function dress() {
  for (const cell of document.querySelectorAll("[data-local]")) {
    cell.textContent = new Date(cell.dataset.local).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  }
}

setInterval(() => {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[datetime]")) {
    const written = time.textContent;
    if (!/^(now|in \d|\d+[smhd] ago)/.test(written)) continue;
    const text = relative(Date.parse(time.dateTime), now);
    if (text !== written) time.textContent = text;
  }
}, 1000);

// Renews the page, unless somebody is typing, reading a selection, or has something open.
let busy = false;
async function renew() {
  // What is dear to read again is not.
  if (main().dataset.still !== undefined) return;
  const typing = main().contains(document.activeElement) && document.activeElement.tagName === "INPUT";
  const selecting = String(getSelection()) !== "";
  if (busy || document.hidden || typing || selecting) return;
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("main");
    const open = [...main().querySelectorAll("details")].map((it) => it.open);
    [...next.querySelectorAll("details")].forEach((it, place) => { it.open = Boolean(open[place]); });
    const place = [...main().querySelectorAll("a, button")].indexOf(document.activeElement);
    if (next.outerHTML !== main().outerHTML) {
      main().replaceWith(document.adoptNode(next));
      follow();
      if (place >= 0) main().querySelectorAll("a, button")[place]?.focus({ preventScroll: true });
      dress();
    }
  } catch {
    // The next change asks again.
  } finally {
    busy = false;
  }
}

// Output as it is written.
let output = null;
function follow() {
  output?.close();
  output = null;
  const log = document.getElementById("log");
  if (document.hidden || !log?.dataset.follow) return;
  output = new EventSource(log.dataset.follow);
  const add = (lines) => {
    // Who has scrolled up reads, and is left where he is.
    const atEnd = innerHeight + scrollY > root.scrollHeight - 50;
    for (const { writer, at, text, is_note } of lines) {
      const row = log.appendChild(document.createElement("span"));
      row.className = "row";
      const who = row.appendChild(document.createElement("span"));
      who.className = "who";
      who.title = at;
      who.textContent = writer;
      row.append(" ");
      if (is_note) row.appendChild(document.createElement("i")).textContent = text;
      else row.append(text);
      row.append("\n");
    }
    while (log.childElementCount > Number(log.dataset.limit)) {
      log.firstElementChild.remove();
      document.getElementById("earlier").hidden = false;
    }
    if (atEnd) scrollTo(0, root.scrollHeight);
  };
  output.addEventListener("all", (event) => {
    const { lines, earlier } = JSON.parse(event.data);
    log.replaceChildren();
    document.getElementById("earlier").hidden = !earlier;
    add(lines);
  });
  output.addEventListener("more", (event) => add(JSON.parse(event.data).lines));
  output.addEventListener("end", () => {
    output.close();
    delete log.dataset.follow;
  });
}

// Listens only while somebody looks: a browser has six connections to a host, and as many forgotten tabs would block the seventh.
let source = null;
function listen() {
  follow();
  if (document.hidden) {
    source?.close();
    source = null;
    return;
  }
  renew();
  if (source) return;
  source = new EventSource("/live");
  source.addEventListener("open", () => { live.textContent = "live"; });
  source.addEventListener("error", () => {
    live.textContent = "not live";
    // A browser tries again by itself only if the connection broke, not if it was refused.
    if (source?.readyState === EventSource.CLOSED) { source = null; setTimeout(listen, 5000); }
  });
  source.addEventListener("changed", renew);
}

dress();
if (!location.pathname.startsWith("/login")) {
  listen();
  document.addEventListener("visibilitychange", listen);
}
