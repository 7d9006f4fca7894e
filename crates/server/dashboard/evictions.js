// What was evicted: alike ones as one line.

import { h, list, since } from "./dom.js";
import { whose } from "./store.js";
import { link } from "./table.js";
import { bytes, times } from "./units.js";
import { what } from "./why.js";

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

export function showEvictions(body, entries, most, none) {
  const groups = grouped(entries);
  const items = groups.slice(0, most).map((group) => ({ group }));
  if (groups.length > most) items.push({ more: groups.length - most });
  if (!groups.length) items.push({ none });
  list(
    body,
    items,
    (item) => item.none ?? item.more ?? item.group.key,
    (item) => {
      if (item.none) return h("li", { class: "empty" }, item.none);
      if (item.more) return h("li", { class: "muted" }, `and ${item.more} more`);
      return evictionLine(item.group);
    },
  );
}
