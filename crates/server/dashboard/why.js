// Why a request was refused, and what would help: sentences and a picture from the figures.

import { h, s, since } from "./dom.js";
import { openLimits } from "./limits.js";
import { state, whose } from "./store.js";
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
      ? ["; ", h("b", { class: "bad" }, `${bytes(denial.short_bytes)} short`)]
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
    add(
      `Raise the limit of the group ${denial.account_name} by at least ${bytes(short)} ` +
        `(PATCH /v1/groups/${denial.account_name}), or have its tenants release as much.`,
    );
  }
  if (denial.reason === "capacity") {
    const holders = above(tenant);
    if (holders.length) {
      add(
        `Above their fair share: ${holders.map((t) => `${t.name} by ${bytes(t.above)}`).join(", ")}. ` +
          "A lower limit for them leaves more for others.",
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
    add(`Ask for less: up to ${bytes(fits)} would have been granted.`);
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

// The account that refused: what it held, what was asked for, and how much of that is too much.
function picture(denial) {
  if (!denial.short_bytes || !denial.limit) return null;
  const used = Math.max(0, denial.limit + denial.short_bytes - denial.asked_bytes);
  const whole = denial.limit + denial.short_bytes;
  const at = (value) => (value / whole) * 1000;
  const rect = (name, from, to) =>
    s("rect", {
      class: name,
      x: at(from),
      width: Math.max(0, at(to) - at(from)),
      y: 3,
      height: 14,
    });
  const limit = Math.min(denial.limit, whole);
  return h(
    "figure",
    {},
    s(
      "svg",
      {
        class: "poolbar",
        viewBox: "0 0 1000 20",
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": "what was held, what was asked for, and what is short",
      },
      rect("bar-used", 0, Math.min(used, limit)),
      rect("bar-asked", used, limit),
      rect("bar-short", limit, whole),
      s("line", {
        class: "mark-limit",
        x1: at(limit),
        x2: at(limit),
        y1: 0,
        y2: 20,
        "vector-effect": "non-scaling-stroke",
      }),
    ),
    h(
      "figcaption",
      { class: "legend" },
      h("span", { class: "sign" }, h("i", { class: "s-used" }), `${before(denial)} ${bytes(used)}`),
      h(
        "span",
        { class: "sign" },
        h("i", { class: "s-asked" }),
        `asked and would fit ${bytes(Math.max(0, limit - used))}`,
      ),
      h(
        "span",
        { class: "sign" },
        h("i", { class: "s-short" }),
        `short ${bytes(denial.short_bytes)}`,
      ),
      h(
        "span",
        { class: "sign" },
        h("i", { class: "s-limit" }),
        `${bound(denial)} ${bytes(limit)}`,
      ),
    ),
  );
}

// What was there before: of caches also what others wait for who came first.
function before(denial) {
  return denial.account === "caches" ? "held, or for who waits" : "held, and could not go";
}

function bound(denial) {
  return denial.account === "pool" ? "capacity" : "limit";
}

export function refusalDetail(denial) {
  const tenant = whose(denial);
  return h(
    "div",
    { class: "stack" },
    headline(denial, true),
    picture(denial),
    h("p", { class: "say" }, plain(denial.text)),
    h("h3", {}, "What would help"),
    helpList(denial),
    tenant
      ? h("p", {}, h("a", { href: link(tenant) }, `Everything about ${tenant.name}`))
      : h("p", { class: "muted" }, "The tenant is gone."),
  );
}
