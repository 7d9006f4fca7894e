// The page as a whole: the token, which view is shown, whether it is live, dark or light.

import { setToken, token, watch } from "./api.js";
import { attribute, field, frame, h, tell, text, tick } from "./dom.js";
import { overview } from "./overview.js";
import { refused } from "./refusals.js";
import * as store from "./store.js";
import { tenantPage } from "./tenant.js";
import { clock } from "./units.js";

const THEME = "allotment-theme";
const THEMES = ["system", "light", "dark"];
const main = document.getElementById("main");
const link = document.getElementById("link");
const notices = document.getElementById("notices");
const leave = document.getElementById("leave");
let stream = null,
  close = null,
  lostAt = null;

function setTheme(theme) {
  localStorage.setItem(THEME, theme);
  attribute(document.documentElement, "data-theme", theme === "system" ? null : theme);
  text(document.getElementById("theme"), `Theme: ${theme}`);
}

function say(level, ...words) {
  tell(notices, h("div", { class: "notice", "data-level": level }, words));
}

function quiet() {
  notices.replaceChildren();
}

function shown(status, words) {
  attribute(link, "data-status", status);
  text(link, words);
}

// Which view the address names.
function route() {
  const [, view, rest] = /^#\/([^/]*)\/?(.*)$/.exec(location.hash) ?? [null, "", ""];
  return { view: view || "overview", rest: rest ? decodeURIComponent(rest) : undefined };
}

function show() {
  if (!store.state.pool) return;
  close?.();
  const { view, rest } = route();
  for (const item of document.querySelectorAll("nav a")) {
    attribute(item, "aria-current", item.dataset.view === view ? "page" : null);
  }
  scrollTo(0, 0);
  document.title = view === "tenant" ? `${rest} · allotment` : "allotment";
  if (view === "tenant" && rest) close = tenantPage(main, rest);
  else if (view === "refused") close = refused(main, rest);
  else close = overview(main);
}

function heard(name, data) {
  const first = store.state.pool === null;
  if (name === "snapshot") {
    const before = store.state.boot;
    const restarted = store.snapshot(data);
    if (restarted) {
      say(
        "info",
        `The server has restarted (seen at ${clock(data.time_ms)}). Grants from before are ` +
          "gone; tenants are those of its configuration. ",
        h("button", { type: "button", class: "quiet", onclick: quiet }, "Dismiss"),
      );
    } else if (before) quiet();
    if (first || restarted) show();
  } else if (name === "change") {
    store.change(data);
  }
}

function told(what, detail) {
  if (what === "live") {
    lostAt = null;
    shown("live", "live");
    leave.hidden = false;
  } else if (what === "lost") {
    lostAt ??= store.state.timeMs;
    shown("lost", "no connection");
    const figures = lostAt ? `What you see is from ${clock(lostAt)}. ` : "";
    say(
      "bad",
      `No connection to the server. ${figures}Trying again in ${detail / 1000} s. `,
      h("button", { type: "button", class: "quiet", onclick: () => stream.now() }, "Try now"),
    );
  } else {
    shown("lost", "not signed in");
    askForToken(
      detail.status === 403
        ? `This token does not reach far enough: ${detail.message}.`
        : "The server does not know this token. Restarted without --admin-token, it has a new one.",
    );
  }
}

function askForToken(fault) {
  stream?.stop();
  close?.();
  close = null;
  text(document.getElementById("asof"), "");
  store.state.pool = null;
  leave.hidden = true;
  quiet();
  const input = h("input", {
    type: "password",
    id: "token",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    placeholder: "allot_…",
  });
  const form = h(
    "form",
    {
      class: "card signin",
      onsubmit: (event) => {
        event.preventDefault();
        setToken(input.value.trim());
        connect();
      },
    },
    h("h1", {}, "Open the dashboard"),
    h(
      "p",
      {},
      "It shows who holds memory, why requests were refused, and what to change. It needs the " +
        "server's token, which stands in the file ",
      h("code", {}, "allot.token"),
      " where the server was started.",
    ),
    fault ? h("p", { class: "error", role: "alert" }, fault) : null,
    field("Token", input, "kept in this tab only, until it is closed"),
    h("button", { type: "submit", class: "primary" }, "Open"),
  );
  tell(main, form);
  input.focus();
}

function connect() {
  stream?.stop();
  shown("wait", "connecting");
  tell(main, h("p", { class: "empty wait" }, "Waiting for the first figures of the server …"));
  store.state.pool = null;
  stream = watch(heard, told);
}

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const filter = document.getElementById("filter");
  if (event.key === "/" && filter) {
    event.preventDefault();
    filter.focus();
    filter.select();
  }
}

setTheme(THEMES.includes(localStorage.getItem(THEME)) ? localStorage.getItem(THEME) : "system");
document.getElementById("theme").addEventListener("click", () => {
  setTheme(THEMES[(THEMES.indexOf(localStorage.getItem(THEME)) + 1) % THEMES.length]);
});
leave.addEventListener("click", () => {
  setToken(null);
  shown("wait", "not signed in");
  askForToken();
});
store.listen(frame(tick));
addEventListener("hashchange", show);
addEventListener("keydown", keys);
if (token()) connect();
else {
  shown("wait", "not signed in");
  askForToken();
}
