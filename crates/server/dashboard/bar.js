// One tenant's memory as a picture: what it holds, and the marks between which it may move.
//
//   |████████▓▓▓▓░░░░···|······|
//    used     ev. idle  limit  burst       below: guarantee, across: fair share
//
//   |████████▓▓▓▓░░░░· ·  ·   no limit     room that fades: nothing ends it but the pool

import { attribute, h, s, text } from "./dom.js";
import { bytes } from "./units.js";

const WIDE = 1000;
const HIGH = 20;
// How much of its bar who has no limit may fill: the rest is where that is said.
const OPEN_PART = 0.7;

function mark(name) {
  return s("line", {
    class: `mark-${name}`,
    y1: 0,
    y2: HIGH,
    "vector-effect": "non-scaling-stroke",
  });
}

export class Bar {
  constructor(label) {
    const rect = (name, y, height) => s("rect", { class: `bar-${name}`, y, height });
    this.room = rect("room", 2, 16);
    this.extra = rect("burst", 2, 16);
    this.used = rect("used", 2, 16);
    this.evictable = rect("evictable", 2, 16);
    this.idle = rect("idle", 2, 16);
    this.floor = rect("floor", 18, 2);
    this.fair = mark("fair");
    this.limit = mark("limit");
    this.burst = mark("burst");
    this.title = s("title", {});
    this.open = h("span", { class: "open", "aria-hidden": "true" }, h("span", {}, "no limit"));
    const drawn = s(
      "svg",
      {
        viewBox: `0 0 ${WIDE} ${HIGH}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": label ?? null,
      },
      this.title,
      this.room,
      this.extra,
      this.used,
      this.evictable,
      this.idle,
      this.floor,
      this.fair,
      this.burst,
      this.limit,
    );
    this.element = h("div", { class: "bar" }, this.open, drawn);
  }

  // `scale`: bytes that the whole width stands for.
  show(tenant, scale) {
    const at = (value) => Math.round(Math.min(1, Math.max(0, value / scale)) * WIDE * 10) / 10;
    const span = (rect, from, to) => {
      attribute(rect, "x", at(from));
      attribute(rect, "width", Math.max(0, at(to) - at(from)));
    };
    const line = (element, value) => {
      const shown = value > 0 && value <= scale * 1.0001;
      attribute(element, "visibility", shown ? null : "hidden");
      if (!shown) return;
      // A mark at the very edge would be half of one.
      const x = Math.min(WIDE - 1.5, Math.max(1.5, at(value)));
      attribute(element, "x1", x);
      attribute(element, "x2", x);
    };
    const fixed = tenant.used_bytes - tenant.evictable_bytes;
    const limit = tenant.limit_bytes;
    span(this.room, 0, Math.min(limit ?? 0, scale));
    const top = Math.max(limit ?? 0, tenant.burst_bytes ?? 0);
    span(this.extra, Math.min(limit ?? 0, scale), limit === null ? 0 : Math.min(top, scale));
    this.fade(limit === null ? at(tenant.used_bytes + tenant.idle) : null);
    span(this.used, 0, fixed);
    span(this.evictable, fixed, tenant.used_bytes);
    span(this.idle, tenant.used_bytes, tenant.used_bytes + tenant.idle);
    span(this.floor, 0, tenant.guarantee_bytes);
    line(this.fair, tenant.fair);
    line(this.limit, limit);
    line(this.burst, tenant.burst_bytes);
    text(this.title, describe(tenant));
  }

  // From where room fades away, in parts of the width; null where it ends at a limit.
  fade(from) {
    attribute(this.open, "hidden", from === null ? "" : null);
    const left = from === null ? "" : `${from / (WIDE / 100)}%`;
    if (this.open.style.left !== left) this.open.style.left = left;
  }
}

export function describe(tenant) {
  const parts = [`uses ${bytes(tenant.used_bytes)}`];
  if (tenant.evictable_bytes) parts.push(`${bytes(tenant.evictable_bytes)} of it evictable`);
  if (tenant.idle) parts.push(`${bytes(tenant.idle)} claimed and idle`);
  parts.push(`guarantee ${bytes(tenant.guarantee_bytes)}`);
  // A group has none.
  if (tenant.fair !== undefined) {
    parts.push(
      tenant.fair === null ? "fair share: all wants fit" : `fair share ${bytes(tenant.fair)}`,
    );
  }
  parts.push(
    tenant.limit_bytes === null ? "no limit of its own" : `limit ${bytes(tenant.limit_bytes)}`,
  );
  if (tenant.burst_bytes !== null) parts.push(`burst ${bytes(tenant.burst_bytes)}`);
  return parts.join(" · ");
}

// What the whole width of a bar stands for where each tenant has its own.
export function ownScale(tenant, capacity) {
  const top = Math.max(
    tenant.limit_bytes ?? 0,
    tenant.burst_bytes ?? 0,
    tenant.guarantee_bytes,
    tenant.used_bytes + tenant.idle,
    tenant.fair ?? 0,
  );
  if (tenant.limit_bytes !== null) return Math.max(1, top);
  return Math.max(top, capacity, open(tenant));
}

// The least that a bar has to stand for to show that it is open.
function open(tenant) {
  return (tenant.used_bytes + tenant.idle) / OPEN_PART;
}

// The longest bar among all, with a little air.
export function sharedScale(tenants, capacity) {
  let [top, opened] = [1, 0];
  for (const tenant of tenants) {
    if (tenant.limit_bytes === null) opened = Math.max(opened, open(tenant));
    top = Math.max(
      top,
      tenant.used_bytes + tenant.idle,
      tenant.guarantee_bytes,
      Math.min(capacity, Math.max(tenant.limit_bytes ?? 0, tenant.burst_bytes ?? 0)),
    );
  }
  return Math.max(Math.min(capacity, top), opened);
}
