// One tenant: what it holds and may hold, over time; by type and model; what was refused, evicted
// and recorded; what to change. All of it is one answer of the server, asked for at every change.

import { call } from "./api.js";
import { Bar, ownScale } from "./bar.js";
import { Chart, saver, spans } from "./chart.js";
import { dated, h, list, since, tell, text } from "./dom.js";
import { evictedLately, Evictions } from "./evictions.js";
import { openGroupLimits, openLimits } from "./limits.js";
import { adviceLine } from "./overview.js";
import { derive, groupOf, listen, state } from "./store.js";
import { legend } from "./table.js";
import { bytes, clock, count, times, typeName } from "./units.js";
import { refusalDetail } from "./why.js";

const DENIALS_SHOWN = 5;
const EVICTIONS_SHOWN = 6;
const chosen = { span: 60_000 };

const FIGURES = [
  ["Used", (t) => bytes(t.used_bytes)],
  ["Most at once", (t) => bytes(Math.max(t.peak_bytes, t.used_bytes))],
  ["Evictable", (t) => bytes(t.evictable_bytes)],
  ["Claimed, idle", (t) => bytes(t.idle)],
  ["Guarantee", (t) => bytes(t.guarantee_bytes)],
  ["Fair share", (t) => (t.fair === null ? "all wants fit" : bytes(t.fair))],
  ["Above fair share", (t) => (t.above ? bytes(t.above) : "no")],
  ["Limit", (t) => bytes(t.limit_bytes)],
  ["Burst limit", (t) => bytes(t.burst_bytes)],
  ["Limit in force", (t) => (t.ceiling_bytes === null ? "the pool's" : bytes(t.ceiling_bytes))],
  ["Grants", (t) => count(t.grants)],
  ["Waiting", (t) => times(t.waiting, "request")],
  ["Granted", (t) => times(t.granted_requests, "request")],
  ["Refused", (t) => times(t.denied, "request")],
  ["Evicted", (t) => `${times(t.evicted, "grant")}, ${bytes(t.evicted_bytes)}`],
  ["Priority", (t) => t.priority],
  ["Isolation", (t) => t.isolation],
  ["Group", (t) => t.group ?? "none"],
];

// The tenant of an answer, with the names that rows of the stream have.
function tenantOf({ tenant }) {
  const named = {
    ...tenant,
    ceiling_bytes: tenant.limit_in_force_bytes,
    fair_bytes: tenant.fair_share_bytes,
    evictable_bytes: Math.max(0, tenant.used_bytes - tenant.unevictable_bytes),
    waiting: tenant.waiting_requests,
    denied: tenant.denied_requests,
    evicted: tenant.evicted_grants,
  };
  derive(named);
  return named;
}

function figures() {
  const values = FIGURES.map(() => h("dd"));
  const element = h(
    "dl",
    { class: "pairs wide" },
    FIGURES.map(([name], place) => h("div", {}, h("dt", {}, name), values[place])),
  );
  return {
    element,
    show: (tenant) => FIGURES.forEach(([, of], place) => text(values[place], of(tenant))),
  };
}

function heldTable(details) {
  if (!details.held.length) return h("p", { class: "empty" }, "It holds nothing.");
  const total = details.held.reduce((sum, one) => sum + one.bytes, 0);
  const row = (one) =>
    h(
      "tr",
      {},
      h("td", {}, typeName(one.type)),
      h("td", {}, one.model || "–"),
      h("td", { class: "num" }, count(one.grants)),
      h("td", { class: "num" }, bytes(one.bytes)),
      h("td", { class: "num" }, one.pinned_bytes ? bytes(one.pinned_bytes) : "–"),
      h("td", {}, h("progress", { max: total, value: one.bytes, "aria-label": "share" })),
      h("td", { class: "num muted" }, `${Math.round(one.expires_in_ms / 1000)} s`),
    );
  return h(
    "table",
    { class: "small" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Type", "Model"].map((name) => h("th", {}, name)),
        ["Grants", "Bytes", "Pinned"].map((name) => h("th", { class: "num" }, name)),
        h("th", {}, "Share"),
        h(
          "th",
          { class: "num", title: "when the first of its leases ends unless it is renewed" },
          "Lease ends",
        ),
      ),
    ),
    h("tbody", {}, details.held.map(row)),
    h(
      "tfoot",
      {},
      h(
        "tr",
        {},
        h("td", { colspan: 2 }, "Together"),
        h("td", { class: "num" }, count(details.held.reduce((sum, one) => sum + one.grants, 0))),
        h("td", { class: "num", id: "held" }, bytes(total)),
        h(
          "td",
          { colspan: 3, class: "num muted" },
          details.held_left_out ? `and ${times(details.held_left_out, "smaller line")}` : "",
        ),
      ),
    ),
  );
}

function eventLine(event) {
  const parts = [
    event.type ? typeName(event.type) : null,
    event.bytes ? bytes(event.bytes) : null,
    event.reason ? `by ${event.reason.replaceAll("_", " ")}` : null,
    event.short_bytes ? `${bytes(event.short_bytes)} too much` : null,
  ];
  return h(
    "tr",
    { class: event.kind },
    h("td", { class: "muted" }, clock(event.time_ms)),
    h("td", {}, event.kind.replaceAll("_", " ")),
    h("td", {}, parts.filter(Boolean).join(", ")),
    h(
      "td",
      { class: "num muted" },
      event.used_bytes === undefined ? "" : `${bytes(event.used_bytes)} used`,
    ),
  );
}

function denialItem(denial) {
  return h(
    "li",
    {},
    h(
      "details",
      {},
      h(
        "summary",
        {},
        h("b", {}, bytes(denial.asked_bytes)),
        ` ${typeName(denial.type)}${denial.model ? `, ${denial.model}` : ""}: ` +
          `${denial.reason.replaceAll("_", " ")}, ${bytes(denial.short_bytes)} too much`,
        h(
          "span",
          { class: "muted" },
          " · ",
          since(denial.time_ms),
          denial.times > 1 ? ` · ${count(denial.times)} times` : "",
        ),
      ),
      refusalDetail(denial),
    ),
  );
}

class Page {
  constructor(into, name) {
    this.name = name;
    this.into = into;
    this.bar = new Bar(`memory of ${name}`);
    this.figures = figures();
    this.chart = new Chart(`Memory of ${name} over time`);
    this.hold = h("span", { class: "badge", "data-level": "high" });
    this.held = h("div");
    this.denials = h("ul", { class: "plain" });
    this.evictions = new Evictions(EVICTIONS_SHOWN, "Nothing of it had to go.");
    this.events = h("tbody");
    this.advice = h("ul", { class: "plain advice" });
    this.adviceCard = h(
      "section",
      { class: "card", hidden: true },
      h("h2", {}, "Alerts and advice"),
      this.advice,
    );
    this.fault = h("p", { class: "error", hidden: true });
    this.change = h(
      "button",
      {
        type: "button",
        class: "primary",
        id: "change-limits",
        onclick: () => {
          const tenant = this.find();
          if (tenant) openLimits(tenant);
        },
      },
      "Change limits…",
    );
    this.changeGroup = h("button", {
      type: "button",
      id: "change-group-limits",
      hidden: true,
      onclick: () => {
        const group = groupOf(this.details?.tenant.group);
        if (group) openGroupLimits(group);
      },
    });
    this.build();
    this.unlisten = listen(() => this.again());
    this.again();
  }

  card(title, ...content) {
    return h("section", { class: "card", "aria-label": title }, h("h2", {}, title), content);
  }

  build() {
    const line = h(
      "div",
      { class: "line" },
      h("a", { href: "#/" }, "Tenants"),
      h("span", { class: "muted" }, "/"),
      h("h1", {}, this.name),
      this.hold,
      h("span", { class: "grow" }),
      this.changeGroup,
      this.change,
    );
    tell(
      this.into,
      line,
      this.fault,
      h(
        "section",
        { class: "card", "aria-label": "Memory" },
        h("div", { class: "bigbar" }, this.bar.element),
        h("div", { class: "line" }, legend()),
        this.figures.element,
      ),
      this.adviceCard,
      h(
        "div",
        { class: "halves" },
        h(
          "div",
          { class: "column" },
          h(
            "section",
            { class: "card", "aria-label": "Over time" },
            h(
              "div",
              { class: "line" },
              h("h2", {}, "Over time"),
              h("span", { class: "grow" }),
              saver(
                `/v1/tenants/${encodeURIComponent(this.name)}/history.svg`,
                this.name,
                () => chosen.span,
              ),
              spans(chosen.span, (span) => {
                chosen.span = span;
                if (this.details) this.drawChart();
              }),
            ),
            this.chart.element,
          ),
          this.card("Refused", this.denials),
        ),
        h(
          "div",
          { class: "column" },
          this.card("What it holds", this.held),
          this.evictions.element,
        ),
      ),
      this.card("Last events", h("table", { class: "small events" }, this.events)),
    );
  }

  find() {
    return state.byAddress.get(this.name);
  }

  // Asks anew with every change that the stream tells, while somebody sees it and the answer
  // before is there.
  async again() {
    if (this.asking || document.hidden) return;
    this.asking = true;
    try {
      this.details = await call("GET", `/v1/tenants/${encodeURIComponent(this.name)}/details`);
      this.fault.hidden = true;
    } catch (error) {
      this.fault.hidden = error.status !== 404;
      text(
        this.fault,
        `There is no tenant ${this.name} (any more). See all tenants for those there are.`,
      );
    }
    this.asking = false;
    if (!this.over) requestAnimationFrame(() => this.show());
  }

  show() {
    this.change.disabled = !this.find();
    if (this.over || !this.details || !state.pool) return;
    const tenant = tenantOf(this.details);
    this.bar.show(tenant, ownScale(tenant, state.pool.capacity_bytes));
    this.figures.show(tenant);
    text(this.hold, tenant.hold === "none" ? "" : tenant.hold);
    this.changeGroup.hidden = !groupOf(tenant.group);
    text(this.changeGroup, `Limits of group ${tenant.group}…`);
    this.drawChart();
    this.showLists();
    dated(this.details.time_ms, ...this.into.querySelectorAll("section"));
  }

  drawChart() {
    const minute = chosen.span === 60_000;
    const { history, evictions, time_ms: time } = this.details;
    const tenant = tenantOf(this.details);
    const points = minute ? history.seconds : history.minutes;
    const most = points.reduce((top, point) => Math.max(top, point[1]), tenant.used_bytes || 1);
    const limit = tenant.limit_bytes ?? 0;
    const top =
      Math.max(
        most * 1.15,
        Math.min(limit || most, state.pool.capacity_bytes),
        tenant.guarantee_bytes,
      ) * 1.02;
    const lines = [
      { bytes: limit, name: "limit", kind: "top" },
      { bytes: tenant.burst_bytes ?? 0, name: "burst", kind: "high" },
      { bytes: tenant.guarantee_bytes, name: "guarantee", kind: "top" },
      { bytes: tenant.fair ?? 0, name: "fair share", kind: "fair" },
    ];
    this.chart.draw({
      points,
      span: chosen.span,
      slot: minute ? 1000 : 60_000,
      now: time,
      used: tenant.used_bytes,
      evicted: evictedLately(evictions, history.seconds).bytes,
      top,
      lines: lines.filter((line) => line.bytes > 0),
    });
  }

  showLists() {
    const { details } = this;
    const one = (element, items, key, build, none) => {
      if (items.length) list(element, items, key, build);
      else
        list(
          element,
          ["none"],
          () => "none",
          () => h("li", { class: "empty" }, none),
        );
    };
    list(
      this.held,
      [details.held],
      (held) => JSON.stringify(held),
      () => heldTable(details),
    );
    const denials = details.denials.slice(0, DENIALS_SHOWN);
    // An explanation that somebody reads stays open.
    if (!this.denials.querySelector("details[open]")) {
      one(
        this.denials,
        denials,
        (denial) => denial.number,
        denialItem,
        "It was not refused since the server started.",
      );
    }
    this.evictions.show(details.evictions, details.history.seconds);
    list(this.events, details.events, (event) => JSON.stringify(event), eventLine);
    const advice = [
      ...details.alerts.map((alert) => ({ ...alert, alert: true })),
      ...details.advice,
    ];
    this.adviceCard.hidden = advice.length === 0;
    list(
      this.advice,
      advice,
      (item) => item.text,
      (item) => adviceLine({ ...item, tenant: null, name: null }),
    );
  }

  end() {
    this.over = true;
    this.unlisten();
    this.chart.end();
  }
}

export function tenantPage(into, name) {
  const page = new Page(into, name);
  return () => page.end();
}
