// One tenant's memory as a picture: what it holds, and the marks between which it may move.
//
//   |████████▓▓▓▓░░░░···|······|
//    used     ev. idle  limit  burst       below: guarantee, across: fair share

import { attribute, s, text } from "./dom.js";
import { bytes } from "./units.js";

const WIDE = 1000;
const HIGH = 20;

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
    this.element = s(
      "svg",
      {
        class: "bar",
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
  }

  // `scale`: bytes that the whole width stands for.
  show(tenant, scale) {
    const at = (value) => Math.round(Math.min(1, Math.max(0, value / scale)) * WIDE * 10) / 10;
    const span = (rect, from, to) => {
      attribute(rect, "x", at(from));
      attribute(rect, "width", Math.max(0, at(to) - at(from)));
    };
    const line = (element, value) => {
      const shown = value !== null && value > 0 && value <= scale * 1.0001;
      attribute(element, "visibility", shown ? null : "hidden");
      if (!shown) return;
      // A mark at the very edge would be half of one.
      const x = Math.min(WIDE - 1.5, Math.max(1.5, at(value)));
      attribute(element, "x1", x);
      attribute(element, "x2", x);
    };
    const fixed = tenant.used_bytes - tenant.evictable_bytes;
    const limit = tenant.limit_bytes;
    span(this.room, 0, Math.min(limit ?? scale, scale));
    const top = Math.max(limit ?? 0, tenant.burst_bytes ?? 0);
    span(this.extra, Math.min(limit ?? scale, scale), Math.min(top, scale));
    span(this.used, 0, fixed);
    span(this.evictable, fixed, tenant.used_bytes);
    span(this.idle, tenant.used_bytes, tenant.used_bytes + tenant.idle);
    span(this.floor, 0, tenant.guarantee_bytes);
    line(this.fair, tenant.fair);
    line(this.limit, limit);
    line(this.burst, tenant.burst_bytes);
    text(this.title, describe(tenant));
  }
}

export function describe(tenant) {
  const parts = [`uses ${bytes(tenant.used_bytes)}`];
  if (tenant.evictable_bytes) parts.push(`${bytes(tenant.evictable_bytes)} of it evictable`);
  if (tenant.idle) parts.push(`${bytes(tenant.idle)} claimed and idle`);
  parts.push(`guarantee ${bytes(tenant.guarantee_bytes)}`);
  parts.push(
    tenant.fair === null ? "fair share: all wants fit" : `fair share ${bytes(tenant.fair)}`,
  );
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
  return tenant.limit_bytes === null ? Math.max(top, capacity) : Math.max(1, top);
}

// The longest bar among all, with a little air.
export function sharedScale(tenants, capacity) {
  let top = 1;
  for (const tenant of tenants) {
    top = Math.max(
      top,
      tenant.used_bytes + tenant.idle,
      tenant.guarantee_bytes,
      Math.min(capacity, Math.max(tenant.limit_bytes ?? 0, tenant.burst_bytes ?? 0)),
    );
  }
  return Math.min(capacity, top);
}
