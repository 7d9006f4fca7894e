// Groups: what the tenants of each hold together, its limit, and the way to change that.

import { Bar, sharedScale } from "./bar.js";
import { h, list, text } from "./dom.js";
import { asTenant, openGroupLimits } from "./limits.js";
import { evictableOfGroups, groupOf, state } from "./store.js";
import { bytes, times } from "./units.js";

// Lines until all are asked for.
const SHOWN = 4;

class Line {
  constructor(name) {
    this.bar = new Bar(`memory of the group ${name}`);
    this.used = h("b");
    this.limit = h("button", {
      type: "button",
      class: "edit",
      "data-group": name,
      title: `change the limits of the group ${name}`,
      onclick: () => {
        const group = groupOf(name);
        if (group) openGroupLimits(group);
      },
    });
    this.about = h("span", { class: "muted" });
    const label = h("b", { class: "what" }, name);
    const limit = h("span", { class: "limited" }, "limit ", this.limit);
    const parts = [label, this.bar.element, this.used, limit, this.about];
    this.element = h("li", { class: "group" }, parts);
  }

  show(group, evictable, scale) {
    this.bar.show(asTenant(group, evictable), scale);
    text(this.used, bytes(group.used_bytes));
    text(this.limit, group.limit_bytes === null ? "none" : bytes(group.limit_bytes));
    const inside = group.parent ? `in ${group.parent}, ` : "";
    const floor = group.guarantee_bytes ? `, guarantee ${bytes(group.guarantee_bytes)}` : "";
    text(this.about, `${inside}${times(group.children, "member")}${floor}`);
  }
}

export function groupsCard() {
  const lines = new Map();
  const body = h("ul", { class: "plain" });
  let all = false;
  const more = h("button", {
    type: "button",
    class: "quiet more",
    onclick: () => {
      all = !all;
      show();
    },
  });
  const element = h(
    "section",
    { class: "card groups", "aria-label": "Groups", hidden: true },
    h("h2", {}, "Groups"),
    body,
    more,
  );
  const show = () => {
    const groups = [...state.groups].sort((a, b) => (a.name < b.name ? -1 : 1));
    element.hidden = groups.length === 0;
    if (element.hidden) return;
    const shown = all ? groups : groups.slice(0, SHOWN);
    for (const { name } of shown) if (!lines.has(name)) lines.set(name, new Line(name));
    list(
      body,
      shown,
      (group) => group.name,
      (group) => lines.get(group.name).element,
    );
    const evictable = evictableOfGroups();
    const bars = groups.map((group) => asTenant(group, evictable));
    const scale = sharedScale(bars, state.pool.capacity_bytes);
    for (const group of shown) lines.get(group.name).show(group, evictable, scale);
    more.hidden = groups.length <= SHOWN;
    text(more, all ? "show fewer" : `${groups.length - SHOWN} more groups: show all`);
  };
  return { element, show };
}
