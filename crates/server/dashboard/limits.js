// Changing what a tenant or a group may have: what would come of it, then a second look, then the
// change.

import { call } from "./api.js";
import { Bar, ownScale } from "./bar.js";
import { field, h, tell, text } from "./dom.js";
import { ofGroup, ofTenant } from "./preview.js";
import { evictableOfGroups, groupOf, listen, now, state } from "./store.js";
import { bytes, clock, exact, parse } from "./units.js";

const FIELDS = [
  { id: "limit", name: "Limit", key: "limit_bytes", hint: "empty: the whole pool" },
  { id: "burst", name: "Burst limit", key: "burst_bytes", hint: "empty: none" },
  { id: "guarantee", name: "Guarantee", key: "guarantee_bytes", hint: "always kept free for it" },
];

// What can be changed: which fields it has, how it is found again after a change of the figures,
// where the change is sent, and what would come of it.
const TENANT = {
  fields: FIELDS,
  find: (tenant) => state.tenants.get(tenant.n),
  path: (tenant) => `/v1/tenants/${encodeURIComponent(tenant.address)}`,
  preview: ofTenant,
  what: "tenant",
};
const GROUP = {
  fields: FIELDS.filter(({ id }) => id !== "burst"),
  find: (group) => asTenant(groupOf(group.name)),
  path: (group) => `/v1/groups/${encodeURIComponent(group.name)}`,
  preview: ofGroup,
  what: "group",
};

// A group with what a bar shows of a tenant.
export function asTenant(group, evictable = evictableOfGroups()) {
  if (!group) return null;
  const idle = Math.max(0, group.claimed_bytes - group.used_bytes);
  const given = Math.min(group.used_bytes, evictable.get(group.name) ?? 0);
  return { ...group, evictable_bytes: given, idle, burst_bytes: null };
}

// What is typed, in bytes; and what is wrong with it.
function read(fields, inputs, one) {
  const wish = {},
    faults = [];
  for (const { id, name, key } of fields) {
    const value = parse(inputs[id].value);
    if (Number.isNaN(value))
      faults.push(`${name}: “${inputs[id].value}” is no size; write 512MiB or 4GiB`);
    else wish[key] = id === "guarantee" ? (value ?? 0) : value;
  }
  const changed = fields.filter(({ key }) => key in wish && wish[key] !== one[key]);
  return { wish, faults, changed };
}

function differences(one, wish, changed) {
  return changed.map(({ name, key }) => {
    const [from, to] = [one[key], wish[key]];
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
  constructor(kind, one, prefill) {
    this.kind = kind;
    this.one = one;
    this.now = new Bar("now");
    this.then = new Bar("after the change");
    this.inputs = {};
    for (const { id, key } of kind.fields) {
      const given = prefill?.[id];
      const value = given === undefined ? one[key] : given;
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
        kind.fields.map(({ id, name, hint }) => field(name, this.inputs[id], hint)),
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
    const name = this.kind === GROUP ? `the group ${this.one.name}` : this.one.name;
    tell(this.element, this.title(`What ${name} may have`), this.form);
  }

  show() {
    const one = this.kind.find(this.one);
    if (!one) {
      tell(this.says, h("li", { class: "bad" }, `The ${this.kind.what} is gone.`));
      this.review.disabled = true;
      return;
    }
    this.one = one;
    const { wish, faults, changed } = read(this.kind.fields, this.inputs, one);
    const { says, after } = this.preview(wish);
    const scale = Math.max(ownScale(one, 1), ownScale(after, 1));
    this.now.show(one, scale);
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

  // What would come of a wish; what is not in it stays.
  preview(wish) {
    const present = this.kind.fields.map(({ key }) => [key, this.one[key]]);
    return this.kind.preview(this.one, { ...Object.fromEntries(present), ...wish });
  }

  confirm() {
    const { wish, faults, changed } = read(this.kind.fields, this.inputs, this.one);
    if (faults.length || !changed.length) return;
    const { says } = this.preview(wish);
    const answer = h("p", { class: "error", role: "alert" });
    const apply = h("button", { type: "button", class: "primary" }, "Apply now");
    apply.addEventListener("click", async () => {
      apply.disabled = true;
      const before = { ...this.one };
      try {
        const inForce = await call("PATCH", this.kind.path(before), body(wish, changed));
        this.done(changed, before, inForce);
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
      this.title(`Change ${this.one.name}?`),
      h("ul", { class: "differences" }, differences(this.one, wish, changed)),
      h(
        "ul",
        { class: "plain says" },
        says.map(({ sentence, level }) => h("li", { class: level ?? "" }, sentence)),
      ),
      h(
        "p",
        { class: "muted small" },
        "It is in force at once. After a restart it counts if the server was started with " +
          "--state; its configuration file stays as it is.",
      ),
      answer,
      h("div", { class: "actions" }, back, apply),
    );
    apply.focus();
  }

  // `inForce`: what the server answered, so that what is shown is what it has.
  done(changed, before, inForce) {
    const names = changed.map(({ name }) => name.toLowerCase()).join(", ");
    const close = h("button", { type: "button", onclick: () => this.element.close() }, "Close");
    tell(
      this.element,
      this.title("Changed"),
      h("p", { role: "status" }, `${before.name} has its new ${names}.`),
      h("ul", { class: "differences" }, differences(before, inForce, changed)),
      h("p", { class: "muted small" }, `In force since ${clock(now())}, says the server.`),
      h("div", { class: "actions" }, close),
    );
    close.focus();
  }
}

// `prefill`: bytes by field, as a refusal suggests them.
export function openLimits(tenant, prefill) {
  return new Dialog(TENANT, tenant, prefill);
}

export function openGroupLimits(group, prefill) {
  return new Dialog(GROUP, asTenant(group), prefill);
}
