// Tenants as a table that sorts and filters, and draws only the rows that can be seen.

import { Bar, ownScale, sharedScale } from "./bar.js";
import { attribute, dated, h, text } from "./dom.js";
import { listen, state } from "./store.js";
import { bytes, count, times } from "./units.js";

const ROW_PX = 30;
// Rows drawn above and below those that can be seen.
const MORE = 6;
// How long the order is left alone after the last key.
const HOLD_MS = 8000;

// The narrowest bar, and the table that has none at all.
const BAR_PX_MIN = 140;
const BARE_PX = 560;

const zero = (value) => (value ? bytes(value) : "–");
const none = (value) => (value === null ? "–" : bytes(value));

// `rank`: which columns are seen first where there is not room for all; without one it always is.
const COLUMNS = [
  { id: "name", name: "Tenant", by: (t) => t.key, up: true, px: 190 },
  { id: "bar", name: "Memory", px: BAR_PX_MIN },
  { id: "used", name: "Used", by: (t) => t.used_bytes, show: (t) => bytes(t.used_bytes), px: 84 },
  {
    id: "above",
    name: "Above fair",
    by: (t) => t.above,
    show: (t) => (t.fair === null ? "–" : t.above ? `+${bytes(t.above)}` : "–"),
    hint: "used beyond the fair share; – while all wants fit",
    px: 100,
    rank: 1,
  },
  {
    id: "fair",
    name: "Fair share",
    by: (t) => t.fair ?? -1,
    show: (t) => none(t.fair),
    px: 84,
    rank: 4,
  },
  { id: "limit", name: "Limit", by: (t) => t.limit_bytes ?? Infinity, px: 88, rank: 2 },
  {
    id: "guarantee",
    name: "Guarantee",
    by: (t) => t.guarantee_bytes,
    show: (t) => zero(t.guarantee_bytes),
    px: 88,
    rank: 5,
  },
  {
    id: "evictable",
    name: "Evictable",
    by: (t) => t.evictable_bytes,
    show: (t) => zero(t.evictable_bytes),
    px: 84,
    rank: 7,
  },
  {
    id: "idle",
    name: "Idle claim",
    by: (t) => t.idle,
    show: (t) => zero(t.idle),
    px: 84,
    rank: 8,
    hint: "claimed of the pool and not in use",
  },
  {
    id: "waiting",
    name: "Waiting",
    by: (t) => t.waiting,
    show: (t) => (t.waiting || "–") + "",
    px: 70,
    rank: 9,
    hint: "requests in line",
  },
  {
    id: "denied",
    name: "Refused",
    by: (t) => t.denied,
    show: (t) => (t.denied ? count(t.denied) : "–"),
    px: 70,
    rank: 3,
    hint: "requests since the server started",
  },
  {
    id: "evicted",
    name: "Evicted",
    by: (t) => t.evicted_bytes,
    show: (t) => zero(t.evicted_bytes),
    px: 90,
    rank: 6,
    hint: "taken since it was registered; what holders gave back when asked is not in it",
  },
];

const RANKED = COLUMNS.filter((column) => column.rank).sort((a, b) => a.rank - b.rank);

// The columns that have room beside each other, set after set, so that each is in one of them.
function setsOf(width) {
  const always = COLUMNS.filter((column) => !column.rank);
  const fixed = always.filter((column) => column.id !== "bar" || width > BARE_PX);
  const room = width - fixed.reduce((sum, column) => sum + column.px, 0);
  const sets = [[]];
  let left = room;
  for (const column of RANKED) {
    if (column.px > left && sets.at(-1).length) {
      sets.push([]);
      left = room;
    }
    sets.at(-1).push(column);
    left -= column.px;
  }
  return sets.map((set) => COLUMNS.filter((one) => fixed.includes(one) || set.includes(one)));
}

// What was chosen stays as it is when another view comes back to this one.
const chosen = { column: "used", up: false, filter: "", own: false, active: null, set: 0 };

class Row {
  constructor(table) {
    this.bar = new Bar();
    this.name = h("a", { tabindex: "-1" });
    this.group = h("span", { class: "sub" });
    this.badge = h("span", { class: "badge" });
    this.cells = new Map();
    this.limit = h("button", {
      type: "button",
      class: "edit",
      tabindex: "-1",
      onclick: (event) => {
        event.stopPropagation();
        table.actions.limits(this.tenant);
      },
    });
    this.element = h(
      "tr",
      { role: "row" },
      COLUMNS.map((column) => this.cell(column)),
    );
    this.element.addEventListener("mousedown", () => table.activate(this.tenant));
    this.element.addEventListener("click", (event) => {
      if (event.target.tagName !== "A") table.open(this.tenant);
    });
  }

  cell(column) {
    const cell = h("td", { class: `c-${column.id}`, role: "gridcell" });
    if (column.id === "name") cell.append(this.name, this.group, this.badge);
    else if (column.id === "bar") cell.append(this.bar.element);
    else if (column.id === "limit") cell.append(this.limit);
    else this.cells.set(column, cell);
    return cell;
  }

  show(tenant, index, scale, active) {
    this.tenant = tenant;
    this.dirty = false;
    this.scale = scale;
    attribute(this.element, "id", `row-${tenant.n}`);
    attribute(this.element, "aria-rowindex", index + 2);
    attribute(this.element, "aria-selected", String(active));
    text(this.name, tenant.name);
    attribute(this.name, "href", link(tenant));
    text(this.group, tenant.group ?? "");
    text(this.badge, tenant.hold === "none" ? "" : tenant.hold);
    this.bar.show(tenant, scale);
    text(this.limit, tenant.limit_bytes === null ? "none" : bytes(tenant.limit_bytes));
    attribute(this.limit, "title", `change the limits of ${tenant.name}`);
    for (const [column, cell] of this.cells) {
      text(cell, column.show(tenant));
      if (column.id === "above") attribute(cell, "data-warn", tenant.above > 0 ? "1" : null);
      if (column.id === "used") {
        attribute(cell, "data-full", tenant.used_bytes >= tenant.ceiling * 0.97 ? "1" : null);
      }
    }
  }
}

export function link(tenant) {
  return `#/tenant/${encodeURIComponent(tenant.address)}`;
}

export class Table {
  constructor(actions) {
    this.actions = actions;
    this.rows = [];
    this.order = [];
    this.heldUntil = 0;
    this.filter = h("input", {
      type: "search",
      placeholder: "Filter by name or group",
      "aria-label": "Filter tenants",
      autocomplete: "off",
      spellcheck: "false",
      id: "filter",
      value: chosen.filter,
      oninput: () => {
        chosen.filter = this.filter.value;
        this.reorder(true);
      },
      onkeydown: (event) => this.filterKey(event),
    });
    this.found = h("span", { class: "muted", role: "status" });
    this.more = h("button", {
      type: "button",
      class: "more",
      id: "more-columns",
      onclick: () => this.turn(),
    });
    this.heads = new Map();
    this.above = h("td", { colspan: COLUMNS.length });
    this.below = h("td", { colspan: COLUMNS.length });
    this.body = h(
      "tbody",
      {},
      h("tr", { "aria-hidden": "true" }, this.above),
      h("tr", { "aria-hidden": "true" }, this.below),
    );
    this.grid = h(
      "table",
      {
        class: "tenants",
        role: "grid",
        tabindex: "0",
        "aria-label": "Tenants",
        onkeydown: (event) => this.key(event),
      },
      h(
        "thead",
        {},
        h(
          "tr",
          { role: "row" },
          COLUMNS.map((column) => this.head(column)),
        ),
      ),
      this.body,
    );
    this.empty = h("p", { class: "empty", hidden: true });
    this.body.addEventListener("mouseenter", () => {
      this.pointed = true;
    });
    this.body.addEventListener("mouseleave", () => {
      this.pointed = false;
      this.ask();
    });
    this.element = h(
      "section",
      { class: "card flush", "aria-label": "Tenants" },
      h(
        "div",
        { class: "tools" },
        h("h2", {}, "Tenants"),
        this.filter,
        this.found,
        this.more,
        h("span", { class: "grow" }),
        legend(),
        this.scaleButton(),
      ),
      this.grid,
      this.empty,
      this.keys(),
    );
    this.onscroll = () => this.ask();
    addEventListener("scroll", this.onscroll, { passive: true });
    addEventListener("resize", this.onscroll);
    this.unlisten = listen((changed) => this.changed(changed));
    this.markHeads();
    this.reorder(true);
  }

  end() {
    removeEventListener("scroll", this.onscroll);
    removeEventListener("resize", this.onscroll);
    this.unlisten();
  }

  scaleButton() {
    const button = h("button", {
      type: "button",
      class: "quiet",
      "aria-pressed": String(chosen.own),
      title: "one scale for all bars, or each up to its own limit",
      onclick: () => {
        chosen.own = !chosen.own;
        button.setAttribute("aria-pressed", String(chosen.own));
        text(button, chosen.own ? "Bars: own limit" : "Bars: same scale");
        this.all = true;
        this.ask();
      },
    });
    text(button, chosen.own ? "Bars: own limit" : "Bars: same scale");
    return button;
  }

  head(column) {
    const cell = h("th", {
      scope: "col",
      role: "columnheader",
      class: `c-${column.id}`,
      title: column.hint ?? null,
    });
    if (!column.by) {
      cell.append(column.name);
      return cell;
    }
    cell.append(h("button", { type: "button", onclick: () => this.sort(column) }, column.name));
    this.heads.set(column.id, cell);
    return cell;
  }

  sort(column) {
    if (chosen.column === column.id) chosen.up = !chosen.up;
    else {
      chosen.column = column.id;
      chosen.up = Boolean(column.up);
    }
    this.markHeads();
    this.reorder(true);
  }

  // What keys do, at the end of the table and always in sight.
  keys() {
    const one = (names, what) =>
      h(
        "span",
        {},
        names.map((name) => h("kbd", {}, name)),
        ` ${what}`,
      );
    this.turns = one(["C"], "other columns");
    return h(
      "p",
      { class: "muted small keys" },
      one(["/"], "filter"),
      one(["↑", "↓"], "choose a tenant"),
      one(["Enter"], "open it"),
      one(["L"], "change its limits"),
      this.turns,
    );
  }

  // The next set of columns.
  turn() {
    chosen.set += 1;
    this.width = null;
    this.ask();
  }

  // Shows as many columns as there is room for, and says which ones there is none for.
  fitColumns() {
    const width = this.grid.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const sets = setsOf(width);
    chosen.set %= sets.length;
    const shown = sets[chosen.set];
    const hidden = COLUMNS.filter((column) => !shown.includes(column));
    const first = shown.some((column) => column.id === "bar") ? "190px" : "minmax(100px, 1fr)";
    const size = ({ id, px }) =>
      id === "name" ? first : id === "bar" ? `minmax(${px}px, 1fr)` : `${px}px`;
    this.grid.style.setProperty("--columns", shown.map(size).join(" "));
    attribute(this.grid, "data-hidden", hidden.map((column) => column.id).join(" "));
    const names = hidden.map((column) => column.name);
    this.hidden = new Set(hidden.map((column) => column.id));
    this.more.hidden = sets.length === 1;
    this.turns.hidden = this.more.hidden;
    text(this.more, `${names.length} columns hidden: show them`);
    attribute(this.more, "title", `no room for ${names.join(", ")}; a wider window shows all`);
  }

  // Rows may be sorted by a column that is not seen.
  orderedBy() {
    if (!this.hidden?.has(chosen.column)) return "";
    const { name } = COLUMNS.find((column) => column.id === chosen.column);
    return `, by ${name} ${chosen.up ? "↑" : "↓"}`;
  }

  markHeads() {
    for (const [id, cell] of this.heads) {
      const sorted = id === chosen.column;
      attribute(cell, "aria-sort", sorted ? (chosen.up ? "ascending" : "descending") : null);
    }
  }

  changed(changed) {
    this.all ||= changed === null;
    for (const row of this.rows) {
      if (row.tenant && changed?.has(row.tenant.n)) row.dirty = true;
    }
    // Rows do not move under the pointer, nor while somebody goes through them by keys.
    const held =
      !this.all &&
      (this.pointed || performance.now() < this.heldUntil) &&
      this.order.every((tenant) => state.tenants.get(tenant.n) === tenant);
    this.reorder(false, held);
  }

  reorder(now, held) {
    if (!held) {
      const filter = chosen.filter.trim().toLowerCase();
      const all = [...state.tenants.values()];
      const shown = filter ? all.filter((tenant) => tenant.key.includes(filter)) : all;
      const { by } = COLUMNS.find((column) => column.id === chosen.column);
      const way = chosen.up ? 1 : -1;
      const keys = new Map(shown.map((tenant) => [tenant, by(tenant)]));
      shown.sort((a, b) => {
        const [one, other] = [keys.get(a), keys.get(b)];
        if (one === other) return a.key < b.key ? -1 : 1;
        return (one < other ? -1 : 1) * way;
      });
      this.order = shown;
    }
    if (now) this.heldUntil = 0;
    this.ask();
  }

  ask() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.draw();
    });
  }

  draw() {
    if (!state.pool) return;
    const { order } = this;
    const total = state.tenants.size;
    this.fitColumns();
    const found = order.length === total ? "" : `${count(order.length)} of `;
    text(this.found, `${found}${times(total, "tenant")}${this.orderedBy()}`);
    this.empty.hidden = order.length > 0;
    text(
      this.empty,
      total === 0
        ? "There are no tenants yet. Register one with POST /v1/tenants, or in the configuration."
        : `No tenant's name or group has “${chosen.filter.trim()}” in it. Esc clears the filter.`,
    );
    attribute(this.grid, "aria-rowcount", order.length + 1);
    const top = this.body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / ROW_PX) - MORE);
    const visible = Math.ceil(innerHeight / ROW_PX) + 2 * MORE;
    const last = Math.min(order.length, first + visible);
    const scale = sharedScale(state.tenants.values(), state.pool.capacity_bytes);
    this.fit(Math.max(0, last - first));
    this.space(this.above, first * ROW_PX);
    this.space(this.below, Math.max(0, order.length - last) * ROW_PX);
    for (let place = 0; place < this.rows.length; place += 1) {
      this.drawRow(this.rows[place], first + place, scale);
    }
    const active = order.includes(this.activeTenant()) ? `row-${chosen.active}` : null;
    attribute(this.grid, "aria-activedescendant", active);
    this.all = false;
    dated(state.timeMs, this.element);
  }

  drawRow(row, index, shared) {
    const tenant = this.order[index];
    const scale = chosen.own ? ownScale(tenant, state.pool.capacity_bytes) : shared;
    const active = tenant.n === chosen.active;
    const same =
      row.tenant === tenant &&
      !row.dirty &&
      !this.all &&
      row.scale === scale &&
      row.index === index &&
      row.active === active;
    if (same) return;
    row.index = index;
    row.active = active;
    row.show(tenant, index, scale, active);
  }

  fit(wanted) {
    while (this.rows.length < wanted) {
      const row = new Row(this);
      this.rows.push(row);
      this.body.insertBefore(row.element, this.below.parentElement);
    }
    while (this.rows.length > wanted) this.rows.pop().element.remove();
  }

  space(cell, px) {
    attribute(cell.parentElement, "hidden", px === 0 ? "" : null);
    if (cell.px !== px) {
      cell.px = px;
      cell.style.height = `${px}px`;
    }
  }

  activeTenant() {
    return state.tenants.get(chosen.active);
  }

  activate(tenant) {
    chosen.active = tenant?.n ?? null;
    this.ask();
  }

  open(tenant) {
    if (tenant) location.hash = link(tenant);
  }

  filterKey(event) {
    if (event.key === "Escape") {
      this.filter.value = chosen.filter = "";
      this.reorder(true);
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      this.grid.focus({ preventScroll: true });
      this.move(0);
    }
  }

  move(index) {
    const { order } = this;
    if (!order.length) return;
    const to = Math.min(order.length - 1, Math.max(0, index));
    chosen.active = order[to].n;
    this.heldUntil = performance.now() + HOLD_MS;
    const box = this.body.getBoundingClientRect();
    const y = box.top + to * ROW_PX;
    const head = 96;
    if (y < head) scrollBy(0, y - head);
    else if (y + ROW_PX > innerHeight) scrollBy(0, y + ROW_PX - innerHeight + 8);
    this.ask();
  }

  key(event) {
    if (event.target.tagName === "BUTTON" || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.order.indexOf(this.activeTenant());
    const page = Math.max(1, Math.floor(innerHeight / ROW_PX) - 6);
    const steps = {
      ArrowDown: at + 1,
      ArrowUp: Math.max(0, at - 1),
      Home: 0,
      End: this.order.length - 1,
      PageDown: at + page,
      PageUp: at - page,
    };
    if (event.key in steps) {
      event.preventDefault();
      this.move(steps[event.key]);
    } else if (event.key === "Enter") {
      this.open(this.activeTenant());
    } else if (event.key.toLowerCase() === "l" && this.activeTenant()) {
      event.preventDefault();
      this.actions.limits(this.activeTenant());
    } else if (event.key.toLowerCase() === "c" && !this.more.hidden) {
      event.preventDefault();
      this.turn();
    }
  }
}


export function legend() {
  const sign = (name, what) => h("span", { class: "sign" }, h("i", { class: `s-${name}` }), what);
  return h(
    "span",
    { class: "legend" },
    sign("used", "used, stays"),
    sign("evictable", "used, evictable"),
    sign("idle", "idle claim"),
    sign("floor", "guarantee"),
    sign("fair", "fair share"),
    sign("limit", "limit"),
    sign("open", "no limit"),
    sign("burst", "burst"),
  );
}
