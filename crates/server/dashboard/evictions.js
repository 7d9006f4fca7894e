// What was evicted: alike ones as one line, the first few at once and all of them on demand.

import { h, list, since, text } from "./dom.js";
import { state, whose } from "./store.js";
import { link } from "./table.js";
import { bytes, times } from "./units.js";
import { what } from "./why.js";

// As many as the server keeps: where there are so many, older ones are gone.
const KEPT = 256;

// Evictions alike as one, newest first: whose, of what, how many, and whether they are free.
function grouped(evictions) {
  const groups = new Map();
  for (const one of evictions) {
    const key = [one.tenant, one.type, one.model, one.asked, one.freed].join("\n");
    const group = groups.get(key) ?? { ...one, count: 0, bytes: 0 };
    group.count += 1;
    group.bytes += one.bytes;
    group.time_ms = Math.max(group.time_ms, one.time_ms);
    group.key = `${key} ${group.count} ${group.bytes}`;
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.time_ms - a.time_ms);
}

function evictionLine(group) {
  const tenant = whose(group);
  const name = group.name || "a tenant that is gone";
  const many = group.count > 1 ? `in ${times(group.count, "grant")}, ` : "";
  const how = !group.freed ? "asked, not yet free" : group.asked ? "given back" : "";
  return h(
    "li",
    { class: "lost", title: `${many}${what(group)}` },
    tenant ? h("a", { href: link(tenant) }, name) : h("span", {}, name),
    h("b", {}, bytes(group.bytes)),
    h("span", { class: "muted what" }, many, what(group)),
    how
      ? h(
          "span",
          {
            class: "badge",
            "data-level": group.freed ? null : "high",
            title: "its holder was asked for it",
          },
          how,
        )
      : "",
    since(group.time_ms),
  );
}

// How much was evicted in the last minute. `points`: the history, which knows of those that the
// server keeps no more.
export function evictedLately(entries, points) {
  const listed = entries.reduce((sum, one) => sum + one.bytes, 0);
  if (entries.length < KEPT) return { bytes: listed, isWhole: true };
  const counted = points.reduce((sum, point) => sum + point[4], 0);
  return { bytes: Math.max(listed, counted), isWhole: false };
}

// A card of what had to go in the last minute, with `most` lines until all are asked for.
export class Evictions {
  constructor(most, none) {
    Object.assign(this, { most, none, all: false });
    this.sum = h("span", { class: "muted" });
    this.body = h("ul", { class: "plain evictions" });
    this.more = h("button", {
      type: "button",
      class: "quiet more",
      onclick: () => {
        this.all = !this.all;
        this.draw();
      },
    });
    this.element = h(
      "section",
      { class: "card", "aria-label": "Evicted or given back in the last minute" },
      h(
        "div",
        { class: "line" },
        h("h2", {}, "Evicted or given back, last minute"),
        h("span", { class: "grow" }),
        this.sum,
      ),
      this.body,
      this.more,
    );
  }

  show(entries, points = []) {
    Object.assign(this, { entries, points });
    this.draw();
  }

  draw() {
    const { entries, most, all } = this;
    const groups = grouped(entries);
    const { bytes: total, isWhole } = evictedLately(entries, this.points);
    const grants = isWhole ? times(entries.length, "grant") : `more than ${times(KEPT, "grant")}`;
    text(this.sum, entries.length ? `${bytes(total)} in ${grants}` : "");
    const shown = all ? groups : groups.slice(0, most);
    const items = shown.map((group) => ({ key: group.key, build: () => evictionLine(group) }));
    const say = (words) =>
      items.push({ key: words, build: () => h("li", { class: "empty" }, words) });
    if (!groups.length) say(this.none);
    if (!isWhole && all) say(`The server keeps the newest ${KEPT}; older ones are not listed.`);
    list(
      this.body,
      items,
      (item) => item.key,
      (item) => item.build(),
    );
    this.more.hidden = groups.length <= most;
    const hidden = groups.slice(most).reduce((sum, group) => sum + group.bytes, 0);
    const rest = `${groups.length - most} more, ${bytes(hidden)}: show all`;
    text(this.more, all ? "show fewer" : rest);
    this.more.setAttribute("aria-expanded", String(all));
  }
}

// Those of the pool.
export function poolEvictions() {
  return state.evictions.filter((entry) => entry.time_ms >= state.timeMs - 60_000);
}
