// Why a request was refused, and what would help: sentences and a picture from the figures.

import { h, s, since } from "./dom.js";
import { openGroupLimits, openLimits } from "./limits.js";
import { groupOf, state, whose } from "./store.js";
import { link } from "./table.js";
import { bytes, clock, count, plain, times, typeName } from "./units.js";

const CHECKS = {
  tenant_limit: (d) => `its own limit of ${bytes(d.limit)}`,
  group_limit: (d) => `the limit of the group ${d.account_name}, ${bytes(d.limit)}`,
  capacity: (d) =>
    `the pool: ${bytes(d.asked_bytes - d.short_bytes)} of ${bytes(d.limit)} were left`,
  grant_count: (d) => `the number of grants it may hold, ${count(d.limit)}`,
  rate_limit: () => "the rate at which it may ask",
  slots_exhausted: () => "the server's table of grants: it is full",
  contended: () => "others, who changed the same account again and again",
  cache_limit: (d) => `the limit over all caches, ${bytes(d.limit)}`,
  waited_too_long: () => "the end of its wait: its turn did not come",
  waiters_exhausted: () => "the line of waiting requests: it is full",
  audit_full: () => "the audit log: it has no room for a record",
  not_now: () => "the moment: the tenant is on hold, or others were faster",
};

export function check(denial) {
  return (CHECKS[denial.reason] ?? (() => denial.reason))(denial);
}

// Who asked for what, and who refused it, in one line.
export function headline(denial, exactly) {
  return h(
    "p",
    { class: "headline" },
    h("b", {}, denial.name),
    " asked for ",
    h("b", {}, bytes(denial.asked_bytes)),
    ` (${what(denial)}); refused by `,
    h("b", {}, check(denial)),
    denial.short_bytes
      ? ["; ", h("b", { class: "bad" }, `${bytes(denial.short_bytes)} too much`)]
      : "",
    h(
      "span",
      { class: "muted" },
      exactly ? ` · ${clock(denial.time_ms)}, ` : " · ",
      since(denial.time_ms),
      again(denial),
    ),
  );
}

export function again(denial) {
  return denial.times > 1 ? ` · ${count(denial.times)} times` : "";
}

export function what(denial) {
  return denial.model ? `${typeName(denial.type)}, ${denial.model}` : typeName(denial.type);
}

// What would help, from the figures of a refusal: sentences, some with a button.
function help(denial) {
  const tenant = whose(denial);
  const advice = [];
  const add = (sentence, action) => advice.push({ sentence, action });
  const limits = (wish) =>
    tenant && { name: `Change limits of ${tenant.name}`, run: () => openLimits(tenant, wish) };
  const short = denial.short_bytes;
  if (denial.reason === "tenant_limit") {
    const needed = denial.limit + short;
    add(
      `Raise the limit of ${denial.name} by at least ${bytes(short)}, to ${bytes(needed)}.`,
      limits({ limit: needed }),
    );
    // Use and limit as they were when it was refused.
    if (denial.limit - denial.available_bytes >= short) {
      add(`Have ${denial.name} release ${bytes(short)} of what it holds.`);
    }
  }
  if (denial.reason === "group_limit") {
    const group = groupOf(denial.account_name);
    const limit = denial.limit + short;
    add(
      `Raise the limit of the group ${denial.account_name} by at least ${bytes(short)}, to ` +
        `${bytes(limit)}, or have its tenants release as much.`,
      group && {
        name: `Change limits of group ${group.name}`,
        run: () => openGroupLimits(group, { limit }),
      },
    );
  }
  if (denial.reason === "capacity") {
    const holders = above(tenant);
    if (holders.length) {
      const names = holders.map((t) => `${t.name} by ${bytes(t.above)}`).join(", ");
      add(
        `Above their fair share: ${names}. A lower limit for them leaves more for others.`,
        {
          name: `Change limits of ${holders[0].name}`,
          run: () => openLimits(holders[0]),
        },
      );
    }
    if (tenant && tenant.used_bytes + denial.asked_bytes > tenant.guarantee_bytes) {
      const floor = tenant.used_bytes + denial.asked_bytes;
      add(
        `A guarantee of ${bytes(floor)} would keep that much free for ${denial.name} at all times.`,
        limits({ guarantee: floor }),
      );
    }
  }
  if (denial.reason === "cache_limit") {
    add(
      `Raise the limit over all caches by at least ${bytes(short)}, to ${bytes(denial.limit + short)} ` +
        "(limit of [cache] in the configuration).",
    );
    if (denial.waiting_can_help) {
      add(`Have caches release ${bytes(short)}: grants whose type is cache, whoever holds them.`);
    }
  }
  if (denial.reason === "not_now" && tenant && tenant.hold !== "none") {
    add(`${denial.name} is ${tenant.hold}: POST /v1/tenants/${denial.name}/thaw ends that.`);
  }
  if (denial.pinned_grants) {
    add(
      `${times(denial.pinned_grants, "pinned grant")} of ${bytes(denial.pinned_bytes)} cannot be ` +
        "evicted: unpin or release some.",
    );
  }
  if (denial.waiting_can_help) {
    add("Waiting can help: ask with wait_ms, and the request stands in line until there is room.");
  } else {
    add("Waiting cannot help as things are configured.");
  }
  // What was left to the account, and what it could have had: others may have a right to the rest.
  const fits = Math.min(denial.available_bytes, denial.asked_bytes - short);
  if (fits > 0 && short > 0) {
    const elsewhere = fits < denial.asked_bytes - short;
    const why = elsewhere ? "; above this account there was no more left" : "";
    add(`Ask for less: up to ${bytes(fits)} would have been granted${why}.`);
  }
  return advice;
}

function above(but) {
  const others = [...state.tenants.values()].filter((t) => t.above > 0 && t !== but);
  return others.sort((a, b) => b.above - a.above).slice(0, 3);
}

export function helpList(denial) {
  return h(
    "ul",
    { class: "helps" },
    help(denial).map(({ sentence, action }) =>
      h(
        "li",
        {},
        h("span", {}, sentence),
        action ? h("button", { type: "button", onclick: action.run }, action.name) : null,
      ),
    ),
  );
}

// What a limit is called, who has what is taken already, and what that is.
const HELD = "taken and cannot be freed for this request";
const BOUNDS = {
  tenant: (name) => ({ limit: `limit of ${name}`, may: `${name} may hold`, held: HELD }),
  group: (name) => ({ limit: `limit of group ${name}`, may: `The group ${name} may hold`, held: HELD }),
  pool: () => ({ limit: "all memory there is", may: "The pool has", held: HELD }),
  caches: (name) => ({
    limit: `limit of ${name}`,
    may: "All caches together may hold",
    held: "taken, or for requests that wait before this one",
  }),
};

// The account that refused: what is taken, and how much of the request still fits beside it.
export function picture(denial) {
  if (!denial.short_bytes || !denial.limit) return null;
  const whole = denial.limit + denial.short_bytes;
  const taken = Math.min(denial.limit, Math.max(0, whole - denial.asked_bytes));
  const fits = denial.limit - taken;
  const { limit, may, held } = BOUNDS[denial.account](denial.account_name);
  const at = (value) => (value / whole) * 1000;
  const rect = (name, from, to) =>
    s("rect", { class: `bar-${name}`, x: at(from), width: at(to) - at(from), y: 3, height: 14 });
  const sign = (name, what, value) =>
    h("span", { class: "sign" }, h("i", { class: `s-${name}` }), what, h("b", {}, bytes(value)));
  return h(
    "figure",
    { class: "refusal" },
    h(
      "p",
      {},
      `${may} ${bytes(denial.limit)}. ${bytes(taken)} of that are ${held}, so ${bytes(fits)} ` +
        `are left. ${bytes(denial.asked_bytes)} were asked for: `,
      h("b", { class: "bad" }, `${bytes(denial.short_bytes)} too much`),
      ".",
    ),
    s(
      "svg",
      {
        class: "poolbar",
        viewBox: "0 0 1000 20",
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": "what is taken, what of the request fits, and what is too much",
      },
      rect("taken", 0, taken),
      rect("fits", taken, denial.limit),
      rect("short", denial.limit, whole),
      s("line", {
        class: "mark-limit",
        x1: at(denial.limit),
        x2: at(denial.limit),
        y1: 0,
        y2: 20,
        "vector-effect": "non-scaling-stroke",
      }),
    ),
    h(
      "figcaption",
      { class: "legend" },
      sign("taken", "taken already", taken),
      sign("fits", "of the request, fits", fits),
      sign("short", "of the request, too much", denial.short_bytes),
      sign("limit", limit, denial.limit),
    ),
  );
}

export function refusalDetail(denial) {
  const tenant = whose(denial);
  return h(
    "div",
    { class: "stack" },
    headline(denial, true),
    picture(denial),
    h("h3", {}, "What would help"),
    helpList(denial),
    h(
      "details",
      {},
      h("summary", {}, "In the server's own words"),
      h("p", { class: "say" }, plain(denial.text)),
    ),
    tenant
      ? h("p", {}, h("a", { href: link(tenant) }, `Everything about ${tenant.name}`))
      : h("p", { class: "muted" }, "The tenant is gone."),
  );
}
