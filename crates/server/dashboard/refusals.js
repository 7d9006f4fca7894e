// Why was I refused? The last refusals, each with the check that refused and what would help; and a
// question for any request that nobody has made yet.

import { dated, frame, h, list, since, tell, text } from "./dom.js";
import { explainForm } from "./explain.js";
import { alike, listen, state } from "./store.js";
import { bytes, count } from "./units.js";
import { again, check, refusalDetail, what } from "./why.js";

const SHOWN = 60;

function entry(denial, chosen) {
  return h(
    "li",
    {},
    h(
      "a",
      {
        class: "entry",
        href: `#/refused/${denial.number}`,
        "aria-current": chosen ? "true" : null,
      },
      h(
        "span",
        { class: "line" },
        h("b", {}, denial.name),
        h("span", {}, bytes(denial.asked_bytes)),
        h("span", { class: "muted what" }, what(denial)),
        h("span", { class: "grow" }),
        h("span", { class: "muted" }, since(denial.time_ms), again(denial)),
      ),
      h("span", { class: "muted" }, `refused by ${check(denial)}`),
    ),
  );
}

export function refused(into, number) {
  const explain = explainForm();
  const items = h("ul", { class: "plain entries" });
  const detail = h("section", { class: "card", "aria-label": "Why" });
  const total = h("span", { class: "muted" });
  tell(
    into,
    h("h1", { class: "hidden" }, "Why was I refused?"),
    h(
      "div",
      { class: "halves" },
      h(
        "section",
        { class: "card flush", "aria-label": "The last refusals" },
        h("div", { class: "tools" }, h("h2", {}, "Last refusals"), total),
        items,
      ),
      h("div", { class: "column" }, detail, explain.element),
    ),
  );
  const choice = { number: number === undefined ? null : Number(number), body: null };
  const show = () => {
    if (!state.pool) return;
    explain.show();
    // A refusal that came again has a new number: whoever reads it goes on reading it.
    choice.body =
      state.denials.find((one) => one.number === choice.number) ??
      (choice.body && state.denials.find((one) => alike(one, choice.body))) ??
      choice.body ??
      state.denials[0] ??
      null;
    const shown = state.denials.slice(0, SHOWN);
    const all = state.denials.reduce((sum, one) => sum + one.times, 0);
    text(total, all ? `${count(all)} in all, alike ones together` : "");
    if (!shown.length) {
      list(
        items,
        ["none"],
        (item) => item,
        () =>
          h(
            "li",
            { class: "empty" },
            "Nobody was refused since the server started. Ask below what would decide a request.",
          ),
      );
    } else {
      const isChosen = (one) => one.number === choice.body?.number;
      list(
        items,
        shown,
        (one) => `${one.number} ${isChosen(one)}`,
        (one) => entry(one, isChosen(one)),
      );
    }
    dated(state.timeMs, detail);
    detail.hidden = !choice.body;
    if (choice.body) {
      list(
        detail,
        [choice.body],
        () => `${choice.body.number} ${state.tenants.size}`,
        () => refusalDetail(choice.body),
      );
    }
  };
  const unlisten = listen(frame(show));
  show();
  return unlisten;
}
