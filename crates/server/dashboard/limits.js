// Changing what a tenant may have: what would come of it, then a second look, then the change.

import { call } from "./api.js";
import { Bar, ownScale } from "./bar.js";
import { field, h, tell, text } from "./dom.js";
import { listen, promised, state, whose } from "./store.js";
import { bytes, exact, parse, percent, times } from "./units.js";

const FIELDS = [
  { id: "limit", name: "Limit", key: "limit_bytes", hint: "empty: the whole pool" },
  { id: "burst", name: "Burst limit", key: "burst_bytes", hint: "empty: none" },
  { id: "guarantee", name: "Guarantee", key: "guarantee_bytes", hint: "always kept free for it" },
];

// What is typed, in bytes; and what is wrong with it.
function read(inputs, tenant) {
  const wish = {},
    faults = [];
  for (const { id, name, key } of FIELDS) {
    const value = parse(inputs[id].value);
    if (Number.isNaN(value))
      faults.push(`${name}: “${inputs[id].value}” is no size; write 512MiB or 4GiB`);
    else wish[key] = id === "guarantee" ? (value ?? 0) : value;
  }
  const changed = FIELDS.filter(({ key }) => key in wish && wish[key] !== tenant[key]);
  return { wish, faults, changed };
}

function preview(tenant, wish) {
  const says = [];
  const say = (sentence, level) => says.push({ sentence, level });
  const after = { ...tenant, ...wish };
  const capacity = state.pool.capacity_bytes;
  const limit = after.limit_bytes;
  const used = tenant.used_bytes;
  if (wish.limit_bytes !== tenant.limit_bytes || wish.burst_bytes !== tenant.burst_bytes) {
    const top = Math.max(limit ?? capacity, limit === null ? 0 : (after.burst_bytes ?? 0));
    if (used > top) {
      say(
        `It holds ${bytes(used)}, ${bytes(used - top)} more than the new limit. Nothing is taken ` +
          `back; every further request is refused until it holds less.`,
        "bad",
      );
    } else {
      say(
        `It holds ${bytes(used)}: ${bytes(Math.max(0, Math.min(top, capacity) - used))} more fit ` +
          `within the new limit, ${bytes(Math.max(0, tenant.ceiling - used))} within the present ` +
          `${bytes(tenant.ceiling)}.`,
      );
    }
    if (limit !== null && limit > capacity) say(`The pool has ${bytes(capacity)} only.`, "warn");
  }
  const own = state.denials.filter((one) => whose(one) === tenant && one.reason === "tenant_limit");
  if (own.length && wish.limit_bytes !== tenant.limit_bytes) {
    const fits = own.filter((one) => limit === null || limit >= one.limit + one.short_bytes);
    const all = own.reduce((sum, one) => sum + one.times, 0);
    const now = fits.reduce((sum, one) => sum + one.times, 0);
    say(
      `Of its last ${times(all, "refusal")} by its own limit, ${now} would be within the new one.`,
      now ? "good" : "warn",
    );
  }
  const sum = promised(tenant, after.guarantee_bytes);
  if (wish.guarantee_bytes === tenant.guarantee_bytes) {
    say(
      `Guarantees add up to ${bytes(sum)} as before, ${percent(sum, capacity)} of the pool.`,
      "muted",
    );
  } else {
    const before = promised(tenant, tenant.guarantee_bytes);
    say(
      `Guarantees add up to ${bytes(sum)}, ${percent(sum, capacity)} of the pool (now ` +
        `${bytes(before)}).`,
      sum > capacity ? "bad" : null,
    );
    if (sum > capacity) say("More than the pool has: the server will refuse it.", "bad");
    const free = capacity - state.pool.claimed_bytes;
    const more = after.guarantee_bytes - Math.max(tenant.guarantee_bytes, tenant.claimed_bytes);
    if (more > free) {
      say(
        `${bytes(more)} more have to be free for that and ${bytes(Math.max(0, free))} are ` +
          "unclaimed: others may have to release some first.",
        "warn",
      );
    }
  }
  if (limit !== null && after.guarantee_bytes > limit) {
    say("The guarantee is above the limit: the server will refuse it.", "bad");
  }
  if (after.burst_bytes !== null && limit !== null && after.burst_bytes < limit) {
    say("The burst limit is below the limit: the server will refuse it.", "bad");
  }
  return { says, after };
}

function differences(tenant, wish, changed) {
  return changed.map(({ name, key }) => {
    const [from, to] = [tenant[key], wish[key]];
    const by =
      from === null || to === null
        ? ""
        : ` (${to > from ? "+" : "−"}${bytes(Math.abs(to - from))})`;
    return h("li", {}, h("span", {}, `${name} `), bytes(from), " → ", h("b", {}, bytes(to)), by);
  });
}

function body(wish, changed) {
  return Object.fromEntries(changed.map(({ id, key }) => [id, wish[key]]));
}

class Dialog {
  constructor(tenant, prefill) {
    this.tenant = tenant;
    this.now = new Bar("now");
    this.then = new Bar("after the change");
    this.inputs = {};
    for (const { id, key } of FIELDS) {
      const given = prefill?.[id];
      const value = given === undefined ? tenant[key] : given;
      this.inputs[id] = h("input", {
        id: `wish-${id}`,
        value: exact(value),
        autocomplete: "off",
        spellcheck: "false",
        oninput: () => this.show(),
      });
    }
    this.says = h("ul", { class: "plain says", "aria-live": "polite" });
    this.review = h("button", { type: "submit" }, "Review the change");
    this.form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          this.confirm();
        },
      },
      h(
        "div",
        { class: "fields" },
        FIELDS.map(({ id, name, hint }) => field(name, this.inputs[id], hint)),
      ),
      h(
        "div",
        { class: "pair" },
        h("span", { class: "muted" }, "now"),
        this.now.element,
        h("span", { class: "muted" }, "then"),
        this.then.element,
      ),
      this.says,
      h("div", { class: "actions" }, this.cancel(), this.review),
    );
    this.element = h("dialog", {
      "aria-labelledby": "limits-title",
      onclose: () => {
        this.unlisten();
        this.element.remove();
      },
    });
    this.edit();
    document.body.append(this.element);
    this.unlisten = listen(() => this.show());
    this.show();
    this.element.showModal();
    this.inputs.limit.select();
  }

  cancel() {
    return h(
      "button",
      { type: "button", class: "quiet", onclick: () => this.element.close() },
      "Cancel",
    );
  }

  title(words) {
    return h("h2", { id: "limits-title" }, words);
  }

  edit() {
    tell(this.element, this.title(`What ${this.tenant.name} may have`), this.form);
  }

  show() {
    const tenant = state.tenants.get(this.tenant.n);
    if (!tenant) {
      tell(this.says, h("li", { class: "bad" }, "The tenant is gone."));
      this.review.disabled = true;
      return;
    }
    this.tenant = tenant;
    const { wish, faults, changed } = read(this.inputs, tenant);
    const { says, after } = preview(tenant, { ...pick(tenant), ...wish });
    const scale = Math.max(ownScale(tenant, 1), ownScale(after, 1));
    this.now.show(tenant, scale);
    this.then.show(after, scale);
    this.review.disabled = faults.length > 0 || changed.length === 0;
    const lines = faults.length
      ? faults.map((fault) => h("li", { class: "bad" }, fault))
      : changed.length === 0
        ? [h("li", { class: "muted" }, "Nothing is changed yet.")]
        : says.map(({ sentence, level }) => h("li", { class: level ?? "" }, sentence));
    const key = lines.map((line) => line.textContent).join("\n");
    if (this.said !== key) {
      this.said = key;
      tell(this.says, lines);
    }
  }

  confirm() {
    const { wish, faults, changed } = read(this.inputs, this.tenant);
    if (faults.length || !changed.length) return;
    const { says } = preview(this.tenant, { ...pick(this.tenant), ...wish });
    const answer = h("p", { class: "error", role: "alert" });
    const apply = h("button", { type: "button", class: "primary" }, "Apply now");
    apply.addEventListener("click", async () => {
      apply.disabled = true;
      try {
        await call(
          "PATCH",
          `/v1/tenants/${encodeURIComponent(this.tenant.address)}`,
          body(wish, changed),
        );
        this.done(changed);
      } catch (error) {
        apply.disabled = false;
        text(answer, `Not changed: ${error.message}`);
      }
    });
    const back = h(
      "button",
      {
        type: "button",
        class: "quiet",
        onclick: () => {
          this.edit();
          this.inputs.limit.focus();
        },
      },
      "Back",
    );
    tell(
      this.element,
      this.title(`Change ${this.tenant.name}?`),
      h("ul", { class: "differences" }, differences(this.tenant, wish, changed)),
      h(
        "ul",
        { class: "plain says" },
        says.map(({ sentence, level }) => h("li", { class: level ?? "" }, sentence)),
      ),
      h(
        "p",
        { class: "muted small" },
        "It holds from now on until the server ends; what stands in " +
          "its configuration file stays as it is.",
      ),
      answer,
      h("div", { class: "actions" }, back, apply),
    );
    apply.focus();
  }

  done(changed) {
    const names = changed.map(({ name }) => name.toLowerCase()).join(", ");
    const close = h("button", { type: "button", onclick: () => this.element.close() }, "Close");
    tell(
      this.element,
      this.title("Changed"),
      h("p", { role: "status" }, `${this.tenant.name} has its new ${names}.`),
      h("div", { class: "actions" }, close),
    );
    close.focus();
  }
}

function pick(tenant) {
  return Object.fromEntries(FIELDS.map(({ key }) => [key, tenant[key]]));
}

// `prefill`: bytes by field, as a refusal suggests them.
export function openLimits(tenant, prefill) {
  return new Dialog(tenant, prefill);
}
