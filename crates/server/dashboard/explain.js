// What would decide a request that nobody has made yet: a form, and the server's explanation.

import { call } from "./api.js";
import { field, h, list, tell } from "./dom.js";
import { state, whose } from "./store.js";
import { bytes, parse, percent, plain, times, typeName, TYPES } from "./units.js";
import { helpList, picture, what } from "./why.js";

// Questions that nobody has asked yet.
export function explainForm() {
  const names = h("datalist", { id: "tenant-names" });
  const tenant = h("input", {
    name: "tenant",
    list: "tenant-names",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "chat",
  });
  const size = h("input", {
    name: "bytes",
    required: true,
    autocomplete: "off",
    placeholder: "4GiB",
  });
  const type = h(
    "select",
    { name: "type" },
    TYPES.map((name) => h("option", { value: name }, typeName(name))),
  );
  type.value = "inference";
  const answer = h("div", { class: "stack", "aria-live": "polite" });
  const form = h(
    "form",
    {
      class: "fields",
      onsubmit: async (event) => {
        event.preventDefault();
        const wanted = parse(size.value);
        if (!wanted) {
          tell(
            answer,
            h("p", { class: "error" }, `“${size.value}” is no size: write 512MiB or 4GiB.`),
          );
          return;
        }
        try {
          const ask = { tenant: tenant.value.trim(), bytes: wanted, type: type.value };
          tell(answer, explained(await call("POST", "/v1/explain", ask), ask));
        } catch (error) {
          tell(answer, h("p", { class: "error" }, error.message));
        }
      },
    },
    field("Tenant", tenant),
    field("Size", size),
    field("Type", type),
    h("button", { type: "submit" }, "Explain"),
    names,
  );
  const show = () => {
    const all = [...state.tenants.values()]
      .map((one) => one.name)
      .sort()
      .slice(0, 1000);
    list(
      names,
      all,
      (name) => name,
      (name) => h("option", { value: name }),
    );
  };
  const element = h(
    "section",
    { class: "card", "aria-label": "Ask before you ask" },
    h("h2", {}, "What would decide a request now?"),
    h("p", { class: "muted" }, "Nothing is granted, nothing is evicted, nothing changes."),
    form,
    answer,
  );
  return { element, show, tenant };
}

function explained(answer, ask) {
  const verdict = answer.would_be_granted
    ? h(
        "p",
        { class: "headline" },
        h("b", { class: "good" }, "It would be granted"),
        answer.would_evict.length
          ? `, after ${times(answer.would_evict.length, "eviction")}.`
          : ", at once.",
      )
    : h(
        "p",
        { class: "headline" },
        h("b", { class: "bad" }, "It would be refused"),
        answer.short_bytes ? [", ", h("b", {}, `${bytes(answer.short_bytes)} too much`)] : "",
        ".",
      );
  const rows = [];
  const row = (name, value) => rows.push(h("dt", {}, name), h("dd", {}, value));
  row(
    "account",
    `${answer.account_name || answer.account}: ${bytes(answer.used_bytes)} of ` +
      `${bytes(answer.limit_bytes)} used`,
  );
  if (answer.on_hold) row("on hold", answer.on_hold);
  if (answer.queued_behind_bytes !== null) {
    row(
      "in line",
      `behind ${bytes(answer.queued_behind_bytes)}` +
        (answer.estimated_wait_secs === null ? "" : `, about ${answer.estimated_wait_secs} s`),
    );
  }
  const tenant = whose({ tenant: ask.tenant, name: ask.tenant });
  const helps =
    answer.would_be_granted || !tenant
      ? null
      : helpList({
          tenant: tenant.address,
          name: tenant.name,
          reason: answer.reason ?? "not_now",
          account: answer.account,
          account_name: answer.account_name,
          asked_bytes: answer.asked_bytes,
          short_bytes: answer.short_bytes,
          limit: answer.limit_bytes,
          available_bytes: 0,
          waiting_can_help: answer.waiting_can_help,
          pinned_grants: 0,
          pinned_bytes: 0,
        });
  return h(
    "div",
    { class: "stack" },
    verdict,
    answer.would_be_granted
      ? null
      : picture({ ...answer, limit: answer.limit_bytes }),
    h("dl", { class: "pairs" }, rows),
    answer.holders.length
      ? [
          h("h3", {}, "Largest holders"),
          h(
            "ul",
            { class: "plain" },
            answer.holders.map((holder) =>
              h(
                "li",
                {},
                h("b", {}, holder.name),
                ` ${bytes(holder.bytes)} `,
                h("span", { class: "muted" }, percent(holder.share_percent, 100)),
              ),
            ),
          ),
        ]
      : null,
    answer.would_evict.length
      ? [
          h("h3", {}, "Would be evicted for it"),
          h(
            "ul",
            { class: "plain" },
            answer.would_evict.map((one) =>
              h(
                "li",
                {},
                h("b", {}, one.tenant),
                ` ${bytes(one.bytes)} `,
                h("span", { class: "muted" }, what(one)),
              ),
            ),
          ),
        ]
      : null,
    helps ? [h("h3", {}, "What would help"), helps] : null,
    h(
      "details",
      {},
      h("summary", {}, "In the server's own words"),
      h("pre", {}, plain(answer.text)),
    ),
  );
}
