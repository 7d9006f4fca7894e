// The first view: the pool, the last refusal, what was evicted, advice, and all tenants.

import { Chart, saver, spans } from "./chart.js";
import { attribute, dated, frame, h, list, s, tell, text } from "./dom.js";
import { evictedLately, Evictions, poolEvictions } from "./evictions.js";
import { groupsCard } from "./groups.js";
import { openLimits } from "./limits.js";
import { listen, now, state, sums, whose } from "./store.js";
import { link, Table } from "./table.js";
import { bytes, percent, plain, times } from "./units.js";
import { headline } from "./why.js";

const EVICTED_SHOWN = 4;
const ADVICE_SHOWN = 2;
const chosen = { span: 60_000 };

// When a level of pressure begins, and when it ends.
function until(percent) {
  return `${percent} % until below ${percent - state.hysteresisPercent} %`;
}

// The pool as one wide bar.
class PoolBar {
  constructor() {
    const rect = (name) => s("rect", { class: `bar-${name}`, y: 0, height: 20 });
    this.parts = ["used", "evictable", "idle"].map(rect);
    this.marks = ["high", "critical"].map((kind) =>
      s("line", {
        class: `level ${kind}`,
        y1: 0,
        y2: 20,
        "vector-effect": "non-scaling-stroke",
      }),
    );
    this.element = s(
      "svg",
      {
        class: "poolbar",
        viewBox: "0 0 1000 20",
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": "the pool",
      },
      s("rect", { class: "bar-room", y: 0, width: 1000, height: 20 }),
      this.parts,
      this.marks,
    );
  }

  show(capacity, all) {
    let from = 0;
    const sizes = [all.used - all.evictable, all.evictable, all.idle];
    for (let place = 0; place < sizes.length; place += 1) {
      const width = Math.min(1000 - from, (sizes[place] / capacity) * 1000);
      attribute(this.parts[place], "x", from.toFixed(1));
      attribute(this.parts[place], "width", Math.max(0, width).toFixed(1));
      from += width;
    }
    const levels = [state.highPercent, state.criticalPercent];
    for (let place = 0; place < levels.length; place += 1) {
      attribute(this.marks[place], "x1", levels[place] * 10);
      attribute(this.marks[place], "x2", levels[place] * 10);
    }
  }
}

function figure(name, sign) {
  const value = h("b");
  const share = h("small");
  const element = h(
    "div",
    { class: "figure" },
    h("span", {}, sign ? h("i", { class: `s-${sign}` }) : null, name),
    h("span", {}, value, " ", share),
  );
  return {
    element,
    show: (size, whole, words) => {
      text(value, bytes(size));
      text(share, words ?? percent(size, whole));
    },
  };
}

function poolCard() {
  const used = h("strong", { class: "huge" });
  const of = h("span", { class: "of" });
  const badge = h("span", { class: "badge" });
  const bar = new PoolBar();
  const figures = {
    used: figure("in use, stays", "used"),
    evictable: figure("in use, evictable", "evictable"),
    idle: figure("claimed, idle", "idle"),
    free: figure("unclaimed", "room"),
    promised: figure("guaranteed in all"),
    above: figure("above fair share"),
  };
  const chart = new Chart("Memory in use over time");
  const draw = () => drawChart(chart);
  const levels = h("p", { class: "muted small levels" });
  const element = h(
    "section",
    { class: "card pool", "aria-label": "The pool" },
    h(
      "div",
      { class: "line" },
      used,
      of,
      badge,
      h("span", { class: "grow" }),
      levels,
      saver("/v1/history.svg", "pool", () => chosen.span),
      spans(chosen.span, (span) => {
        chosen.span = span;
        draw();
      }),
    ),
    bar.element,
    h(
      "div",
      { class: "figures" },
      Object.values(figures).map((one) => one.element),
    ),
    chart.element,
  );
  const show = () => {
    const { pool } = state;
    const all = sums();
    text(used, bytes(pool.used_bytes));
    text(
      of,
      `of ${bytes(pool.capacity_bytes)} in use, ${percent(pool.used_bytes, pool.capacity_bytes)}`,
    );
    text(badge, `pressure: ${pool.pressure}`);
    attribute(badge, "data-level", pool.pressure);
    text(
      levels,
      `high from ${until(state.highPercent)}, critical from ${until(state.criticalPercent)}`,
    );
    bar.show(pool.capacity_bytes, all);
    figures.used.show(all.used - all.evictable, pool.capacity_bytes);
    figures.evictable.show(all.evictable, pool.capacity_bytes);
    figures.idle.show(all.idle, pool.capacity_bytes);
    const free = Math.max(
      0,
      pool.capacity_bytes - Math.max(pool.claimed_bytes, all.used + all.idle),
    );
    figures.free.show(free, pool.capacity_bytes);
    figures.promised.show(all.guarantee, pool.capacity_bytes);
    figures.above.show(all.above, null, all.holders ? `by ${times(all.holders, "tenant")}` : "");
    draw();
  };
  return { element, show, end: () => chart.end() };
}

function drawChart(chart) {
  const capacity = state.pool.capacity_bytes;
  const minute = chosen.span === 60_000;
  const level = (percents) => (capacity / 100) * percents;
  chart.draw({
    points: minute ? state.seconds : state.minutes,
    span: chosen.span,
    slot: minute ? 1000 : 60_000,
    now: now(),
    used: state.pool.used_bytes,
    evicted: evictedLately(poolEvictions(), state.seconds).bytes,
    top: capacity,
    levels: state.pressure,
    lines: [
      { bytes: capacity, name: bytes(capacity), kind: "top" },
      { bytes: level(state.criticalPercent), name: `${state.criticalPercent} %`, kind: "critical" },
      { bytes: level(state.highPercent), name: `${state.highPercent} %`, kind: "high" },
    ],
  });
}

function refusalCard() {
  const body = h("div", { class: "stack" });
  const element = h(
    "section",
    { class: "card", "aria-label": "The last refusal" },
    h(
      "div",
      { class: "line" },
      h("h2", {}, "Last refusal"),
      h("span", { class: "grow" }),
      h("a", { href: "#/refused" }, "all refusals"),
    ),
    body,
  );
  const show = () => {
    const denial = state.denials[0];
    if (!denial) {
      list(
        body,
        ["none"],
        (item) => item,
        () => h("p", { class: "empty" }, "Nobody was refused since the server started."),
      );
      return;
    }
    list(
      body,
      [denial],
      () => denial.number,
      () =>
        h(
          "div",
          { class: "stack" },
          headline(denial),
          h("p", { class: "clamp" }, plain(denial.text)),
          h("a", { class: "act", href: `#/refused/${denial.number}` }, "Why, and what would help"),
        ),
    );
  };
  return { element, show };
}

function evictionCard() {
  const card = new Evictions(EVICTED_SHOWN, "Nothing had to go.");
  return { element: card.element, show: () => card.show(poolEvictions(), state.seconds) };
}

function adviceCard() {
  const body = h("ul", { class: "plain advice" });
  const more = h("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      all = !all;
      show();
    },
  });
  const element = h(
    "section",
    { class: "card strip", "aria-label": "Alerts and advice", hidden: true },
    body,
    more,
  );
  let all = false;
  const show = () => {
    const items = [...state.advice, ...state.alerts.map((alert) => ({ ...alert, alert: true }))];
    element.hidden = items.length === 0;
    more.hidden = items.length <= ADVICE_SHOWN;
    text(more, all ? "show fewer" : `all ${items.length}`);
    list(body, all ? items : items.slice(0, ADVICE_SHOWN), (item) => item.text, adviceLine);
  };
  return { element, show };
}

export function adviceLine(item) {
  const tenant = whose(item);
  return h(
    "li",
    {},
    item.alert
      ? h("span", { class: "badge", "data-level": "high" }, "alert")
      : h("span", { class: "badge", "data-level": "advice" }, "advice"),
    h("span", { class: "say" }, plain(item.text)),
    tenant ? h("a", { class: "act", href: link(tenant) }, `see ${tenant.name}`) : null,
  );
}

export function overview(into) {
  const cards = [poolCard(), refusalCard(), evictionCard(), adviceCard(), groupsCard()];
  const table = new Table({ limits: openLimits });
  const [pool, refusal, eviction, advice, groups] = cards;
  tell(
    into,
    h("h1", { class: "hidden" }, "Overview"),
    h(
      "div",
      { class: "head" },
      pool.element,
      h("div", { class: "side" }, refusal.element, eviction.element),
    ),
    advice.element,
    groups.element,
    table.element,
    h("p", { class: "muted small foot" }, `allotment ${state.version}`),
  );
  const show = () => {
    if (!state.pool) return;
    for (const card of cards) card.show();
    dated(state.timeMs, ...cards.map((card) => card.element));
  };
  const unlisten = listen(frame(show));
  show();
  return () => {
    unlisten();
    table.end();
    pool.end();
  };
}
