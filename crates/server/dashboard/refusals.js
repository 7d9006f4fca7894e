// Why was I refused? The last refusals, each with the check that refused and what would help; and a
// question for any request that nobody has made yet.

import { call } from "./api.js";
import { field, frame, h, list, s, since, tell, text } from "./dom.js";
import { openLimits } from "./limits.js";
import { alike, listen, state, whose } from "./store.js";
import { link } from "./table.js";
import { bytes, clock, count, parse, percent, plain, times, typeName, TYPES } from "./units.js";

const SHOWN = 60;

const CHECKS = {
  tenant_limit: (d) => `its own limit of ${bytes(d.limit)}`,
  group_limit: (d) => `the limit of the group ${d.account_name}, ${bytes(d.limit)}`,
  capacity: (d) => `the pool of ${bytes(d.limit)}: nothing more is free`,
  grant_count: (d) => `the number of grants it may hold, ${count(d.limit)}`,
  rate_limit: () => "the rate at which it may ask",
  slots_exhausted: () => "the server's table of grants: it is full",
  contended: () => "others, who changed the same account again and again",
  waited_too_long: () => "the end of its wait: its turn did not come",
  waiters_exhausted: () => "the line of waiting requests: it is full",
  audit_full: () => "the audit log: it has no room for a record",
  not_now: () => "the moment: the tenant is on hold, or others were faster",
};

function check(denial) {
  return (CHECKS[denial.reason] ?? (() => denial.reason))(denial);
}

// Who asked for what, and who refused it, in one line.
export function headline(denial, exactly) {
  return h("p", { class: "headline" }, h("b", {}, denial.name), " asked for ",
    h("b", {}, bytes(denial.asked_bytes)), ` (${what(denial)}); refused by `, h("b", {}, check(denial)),
    denial.short_bytes ? ["; ", h("b", { class: "bad" }, `${bytes(denial.short_bytes)} short`)] : "",
    h("span", { class: "muted" }, exactly ? ` · ${clock(denial.time_ms)}, ` : " · ", since(denial.time_ms),
      again(denial)));
}

function again(denial) {
  return denial.times > 1 ? ` · ${count(denial.times)} times` : "";
}

function what(denial) {
  return denial.model ? `${typeName(denial.type)}, ${denial.model}` : typeName(denial.type);
}

// Evictions alike as one, newest first: whose, of what, how many, and whether they are free.
export function grouped(evictions) {
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

export function evictionLine(group) {
  const tenant = whose(group);
  const name = group.name || "a tenant that is gone";
  const many = group.count > 1 ? `in ${times(group.count, "grant")}, ` : "";
  const how = !group.freed ? "asked, not yet free" : group.asked ? "given back" : "";
  return h("li", { class: "lost", title: `${many}${what(group)}` },
    tenant ? h("a", { href: link(tenant) }, name) : h("span", {}, name), h("b", {}, bytes(group.bytes)),
    h("span", { class: "muted what" }, many, what(group)),
    how ? h("span", { class: "badge", "data-level": group.freed ? null : "high",
      title: "its holder was asked for it" }, how) : "", since(group.time_ms));
}

// What would help, from the figures of a refusal: sentences, some with a button.
export function help(denial) {
  const tenant = whose(denial);
  const advice = [];
  const add = (sentence, action) => advice.push({ sentence, action });
  const limits = (wish) => tenant && { name: `Change limits of ${tenant.name}`,
    run: () => openLimits(tenant, wish) };
  const short = denial.short_bytes;
  if (denial.reason === "tenant_limit") {
    const needed = denial.limit + short;
    add(`Raise the limit of ${denial.name} by at least ${bytes(short)}, to ${bytes(needed)}.`,
      limits({ limit: needed }));
    add(`Have ${denial.name} release ${bytes(short)} of what it holds.`);
  }
  if (denial.reason === "group_limit") {
    add(`Raise the limit of the group ${denial.account_name} by at least ${bytes(short)} ` +
      `(PATCH /v1/groups/${denial.account_name}), or have its tenants release as much.`);
  }
  if (denial.reason === "capacity") {
    const holders = above(tenant);
    if (holders.length) {
      add(`Above their fair share: ${holders.map((t) => `${t.name} by ${bytes(t.above)}`).join(", ")}. ` +
        "A lower limit for them leaves more for others.", {
        name: `Change limits of ${holders[0].name}`, run: () => openLimits(holders[0]) });
    }
    if (tenant && tenant.used_bytes + denial.asked_bytes > tenant.guarantee_bytes) {
      const floor = tenant.used_bytes + denial.asked_bytes;
      add(`A guarantee of ${bytes(floor)} would keep that much free for ${denial.name} at all times.`,
        limits({ guarantee: floor }));
    }
  }
  if (denial.reason === "not_now" && tenant && tenant.hold !== "none") {
    add(`${denial.name} is ${tenant.hold}: POST /v1/tenants/${denial.name}/thaw ends that.`);
  }
  if (denial.pinned_grants) {
    add(`${times(denial.pinned_grants, "pinned grant")} of ${bytes(denial.pinned_bytes)} cannot be ` +
      "evicted: unpin or release some.");
  }
  if (denial.waiting_can_help) {
    add("Waiting can help: ask with wait_ms, and the request stands in line until there is room.");
  } else {
    add("Waiting cannot help as things are configured.");
  }
  if (denial.available_bytes > 0 && denial.available_bytes < denial.asked_bytes) {
    add(`Ask for less: up to ${bytes(denial.available_bytes)} would have been granted.`);
  }
  return advice;
}

function above(but) {
  const others = [...state.tenants.values()].filter((t) => t.above > 0 && t !== but);
  return others.sort((a, b) => b.above - a.above).slice(0, 3);
}

function helpList(denial) {
  return h("ul", { class: "helps" }, help(denial).map(({ sentence, action }) => h("li", {},
    h("span", {}, sentence),
    action ? h("button", { type: "button", onclick: action.run }, action.name) : null)));
}

// The account that refused: what it held, what was asked for, and how much of that is too much.
function picture(denial) {
  if (!denial.short_bytes || !denial.limit) return null;
  const used = Math.max(0, denial.limit + denial.short_bytes - denial.asked_bytes);
  const whole = denial.limit + denial.short_bytes;
  const at = (value) => value / whole * 1000;
  const rect = (name, from, to) => s("rect", {
    class: name, x: at(from), width: Math.max(0, at(to) - at(from)), y: 3, height: 14 });
  const limit = Math.min(denial.limit, whole);
  return h("figure", {},
    s("svg", { class: "poolbar", viewBox: "0 0 1000 20", preserveAspectRatio: "none", role: "img",
      "aria-label": "what was held, what was asked for, and what is short" },
    rect("bar-used", 0, Math.min(used, limit)), rect("bar-asked", used, limit),
    rect("bar-short", limit, whole),
    s("line", { class: "mark-limit", x1: at(limit), x2: at(limit), y1: 0, y2: 20,
      "vector-effect": "non-scaling-stroke" })),
    h("figcaption", { class: "legend" },
      h("span", { class: "sign" }, h("i", { class: "s-used" }), `taken, stays ${bytes(used)}`),
      h("span", { class: "sign" }, h("i", { class: "s-asked" }),
        `asked and would fit ${bytes(Math.max(0, limit - used))}`),
      h("span", { class: "sign" }, h("i", { class: "s-short" }), `short ${bytes(denial.short_bytes)}`),
      h("span", { class: "sign" }, h("i", { class: "s-limit" }), `${bound(denial)} ${bytes(limit)}`)));
}

function bound(denial) {
  return denial.account === "pool" ? "capacity" : "limit";
}

export function refusalDetail(denial) {
  const tenant = whose(denial);
  return h("div", { class: "stack" },
    headline(denial, true),
    picture(denial),
    h("p", { class: "say" }, plain(denial.text)),
    h("h3", {}, "What would help"), helpList(denial),
    tenant ? h("p", {}, h("a", { href: link(tenant) }, `Everything about ${tenant.name}`)) :
      h("p", { class: "muted" }, "The tenant is gone."));
}

function entry(denial, chosen) {
  return h("li", {}, h("a", {
    class: "entry", href: `#/refused/${denial.number}`, "aria-current": chosen ? "true" : null,
  }, h("span", { class: "line" }, h("b", {}, denial.name), h("span", {}, bytes(denial.asked_bytes)),
    h("span", { class: "muted" }, what(denial)), h("span", { class: "grow" }),
    h("span", { class: "muted" }, since(denial.time_ms), again(denial))),
  h("span", { class: "muted" }, `refused by ${check(denial)}`)));
}

// Questions that nobody has asked yet.
function explainForm() {
  const names = h("datalist", { id: "tenant-names" });
  const tenant = h("input", { name: "tenant", list: "tenant-names", required: true,
    autocomplete: "off", spellcheck: "false", placeholder: "chat" });
  const size = h("input", { name: "bytes", required: true, autocomplete: "off", placeholder: "4GiB" });
  const type = h("select", { name: "type" },
    TYPES.map((name) => h("option", { value: name }, typeName(name))));
  type.value = "inference";
  const answer = h("div", { class: "stack", "aria-live": "polite" });
  const form = h("form", { class: "fields", onsubmit: async (event) => {
    event.preventDefault();
    const wanted = parse(size.value);
    if (!wanted) {
      tell(answer, h("p", { class: "error" }, `“${size.value}” is no size: write 512MiB or 4GiB.`));
      return;
    }
    try {
      const ask = { tenant: tenant.value.trim(), bytes: wanted, type: type.value };
      tell(answer, explained(await call("POST", "/v1/explain", ask), ask));
    } catch (error) {
      tell(answer, h("p", { class: "error" }, error.message));
    }
  } }, field("Tenant", tenant), field("Size", size), field("Type", type),
  h("button", { type: "submit" }, "Explain"), names);
  const show = () => {
    const all = [...state.tenants.values()].map((one) => one.name).sort().slice(0, 1000);
    list(names, all, (name) => name, (name) => h("option", { value: name }));
  };
  const element = h("section", { class: "card", "aria-label": "Ask before you ask" },
    h("h2", {}, "What would decide a request now?"),
    h("p", { class: "muted" }, "Nothing is granted, nothing is evicted, nothing changes."),
    form, answer);
  return { element, show, tenant };
}

function explained(answer, ask) {
  const verdict = answer.would_be_granted ?
    h("p", { class: "headline" }, h("b", { class: "good" }, "It would be granted"),
      answer.would_evict.length ? `, after ${times(answer.would_evict.length, "eviction")}.` : ", at once.") :
    h("p", { class: "headline" }, h("b", { class: "bad" }, "It would be refused"),
      answer.short_bytes ? [", ", h("b", {}, `${bytes(answer.short_bytes)} short`)] : "", ".");
  const rows = [];
  const row = (name, value) => rows.push(h("dt", {}, name), h("dd", {}, value));
  row("account", `${answer.account_name || answer.account}: ${bytes(answer.used_bytes)} of ` +
    `${bytes(answer.limit_bytes)} used`);
  if (answer.on_hold) row("on hold", answer.on_hold);
  if (answer.queued_behind_bytes !== null) {
    row("in line", `behind ${bytes(answer.queued_behind_bytes)}` +
      (answer.estimated_wait_secs === null ? "" : `, about ${answer.estimated_wait_secs} s`));
  }
  const tenant = whose({ tenant: ask.tenant, name: ask.tenant });
  const helps = answer.would_be_granted || !tenant ? null : helpList({
    tenant: tenant.address, name: tenant.name, reason: answer.reason ?? "not_now",
    account: answer.account, account_name: answer.account_name, asked_bytes: answer.asked_bytes,
    short_bytes: answer.short_bytes, limit: answer.limit_bytes, available_bytes: 0,
    waiting_can_help: answer.waiting_can_help, pinned_grants: 0, pinned_bytes: 0,
  });
  return h("div", { class: "stack" }, verdict, h("dl", { class: "pairs" }, rows),
    answer.holders.length ? [h("h3", {}, "Largest holders"), h("ul", { class: "plain" },
      answer.holders.map((holder) => h("li", {}, h("b", {}, holder.name), ` ${bytes(holder.bytes)} `,
        h("span", { class: "muted" }, percent(holder.share_percent, 100)))))] : null,
    answer.would_evict.length ? [h("h3", {}, "Would be evicted for it"), h("ul", { class: "plain" },
      answer.would_evict.map((one) => h("li", {}, h("b", {}, one.tenant), ` ${bytes(one.bytes)} `,
        h("span", { class: "muted" }, what(one)))))] : null,
    helps ? [h("h3", {}, "What would help"), helps] : null,
    h("details", {}, h("summary", {}, "In the server's own words"), h("pre", {}, plain(answer.text))));
}

export function refused(into, number) {
  const explain = explainForm();
  const items = h("ul", { class: "plain entries" });
  const detail = h("section", { class: "card", "aria-label": "Why" });
  const total = h("span", { class: "muted" });
  tell(into, h("h1", { class: "hidden" }, "Why was I refused?"), h("div", { class: "halves" },
    h("section", { class: "card flush", "aria-label": "The last refusals" },
      h("div", { class: "tools" }, h("h2", {}, "Last refusals"), total), items),
    h("div", { class: "column" }, detail, explain.element)));
  const choice = { number: number === undefined ? null : Number(number), body: null };
  const show = () => {
    if (!state.pool) return;
    explain.show();
    // A refusal that came again has a new number: whoever reads it goes on reading it.
    choice.body = state.denials.find((one) => one.number === choice.number) ??
      (choice.body && state.denials.find((one) => alike(one, choice.body))) ?? choice.body ??
      state.denials[0] ?? null;
    const shown = state.denials.slice(0, SHOWN);
    const all = state.denials.reduce((sum, one) => sum + one.times, 0);
    text(total, all ? `${count(all)} in all, alike ones together` : "");
    if (!shown.length) {
      list(items, ["none"], (item) => item, () => h("li", { class: "empty" },
        "Nobody was refused since the server started. Ask below what would decide a request."));
    } else {
      const isChosen = (one) => one.number === choice.body?.number;
      list(items, shown, (one) => `${one.number} ${isChosen(one)}`,
        (one) => entry(one, isChosen(one)));
    }
    detail.hidden = !choice.body;
    if (choice.body) {
      list(detail, [choice.body], () => `${choice.body.number} ${state.tenants.size}`,
        () => refusalDetail(choice.body));
    }
  };
  const unlisten = listen(frame(show));
  show();
  return unlisten;
}
