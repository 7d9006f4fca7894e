// What was in use over time, with the levels at which pressure rises, refusals and evictions.

import { save } from "./api.js";
import { h, s, text } from "./dom.js";
import { bytes, clock, count } from "./units.js";

const TOP = 8,
  BOTTOM = 40,
  LEFT = 2,
  RIGHT = 62;

export class Chart {
  constructor(label) {
    [this.width, this.height] = [600, 150];
    this.svg = s("svg", { class: "chart", role: "img", "aria-label": label });
    this.caption = h("p", { class: "caption" });
    const plot = h("div", { class: "plot" }, this.svg);
    this.element = h("div", { class: "chartbox" }, plot, this.caption);
    this.observer = new ResizeObserver((entries) => {
      const { width, height } = entries[0].contentRect;
      if (width < 1 || (width === this.width && height === this.height)) return;
      [this.width, this.height] = [width, height];
      this.again();
    });
    this.observer.observe(plot);
  }

  again() {
    if (this.last) this.draw(this.last);
  }

  end() {
    this.observer.disconnect();
  }

  // points: [ms, used bytes, requests, denied, evicted bytes]; used: as of now, where the line
  // ends; evicted: bytes in the last minute; span and slot in ms; lines: [{ bytes, name, kind }];
  // levels: [[ms, name]].
  draw(what) {
    this.last = what;
    const { points, span, slot, now, used, top, lines, levels } = what;
    const from = now - span;
    const [wide, high] = [this.width - LEFT - RIGHT, this.height - TOP - BOTTOM];
    const x = (ms) => LEFT + Math.min(1, Math.max(0, (ms - from) / span)) * wide;
    const y = (value) => TOP + (1 - Math.min(1, value / top)) * high;
    const floor = TOP + high;
    const shown = points.filter((point) => point[0] + slot > from);
    const parts = [
      s("line", { class: "axis", x1: LEFT, x2: LEFT + wide, y1: floor, y2: floor }),
      s("line", { class: "grid", x1: LEFT, x2: LEFT + wide, y1: TOP, y2: TOP }),
    ];
    let labelled = -20;
    for (const line of [...lines].sort((a, b) => b.bytes - a.bytes)) {
      if (line.bytes > top) continue;
      const at = y(line.bytes);
      parts.push(
        s("line", { class: `level ${line.kind}`, x1: LEFT, x2: LEFT + wide, y1: at, y2: at }),
      );
      if (Math.abs(at - labelled) < 11) continue;
      labelled = at;
      parts.push(label(LEFT + wide + 5, at + 3.5, line.name));
    }
    parts.push(...area(shown, slot, x, y, floor, [now, used]));
    for (const [at, , , denied, evicted] of shown) {
      const middle = x(at + slot / 2).toFixed(1);
      if (denied)
        parts.push(s("path", { class: "denied", d: `M${middle} ${floor + 2}l3.5 6h-7z` }));
      if (evicted)
        parts.push(s("circle", { class: "evicted", cx: middle, cy: floor + 13, r: 2.5 }));
    }
    parts.push(...pressure(levels ?? [], from, now, x, floor + 18));
    const minute = span <= 60_000;
    parts.push(label(LEFT, this.height - 5, minute ? "60 s ago" : "1 h ago"));
    parts.push(s("text", { class: "note end", x: LEFT + wide, y: this.height - 5 }, clock(now)));
    this.svg.replaceChildren(...parts);
    this.tell(shown, minute, pressed(levels ?? [], from, now));
  }

  tell(shown, minute, pressedMs) {
    const sum = (place) => shown.reduce((total, point) => total + point[place], 0);
    const most = shown.reduce((top, point) => Math.max(top, point[1]), this.last.used);
    const [requests, denied] = [sum(2), sum(3)];
    // The history knows of the present second when it is over; the list of evictions at once.
    const evicted = minute ? this.last.evicted : Math.max(sum(4), this.last.evicted);
    const when = minute ? "in the last minute" : "in the last hour";
    text(
      this.caption,
      shown.length === 0
        ? `Nothing was recorded ${when}.`
        : `At most ${bytes(most)} ${when}; ${count(requests)} requests, ` +
            `${count(denied)} refused ▲, ${bytes(evicted)} evicted or given back ●` +
            (pressedMs ? `; pressure was high for ${Math.ceil(pressedMs / 1000)} s ▂` : ""),
    );
  }
}

function label(x, y, value) {
  return s("text", { class: "note", x, y }, value);
}

// Seconds in which nobody looked are gaps, not zeros. The last run ends with what is used now.
function area(points, slot, x, y, floor, [now, used]) {
  const runs = [];
  for (const point of points) {
    const run = runs.at(-1);
    if (run && point[0] - run.at(-1)[0] <= 2.5 * slot) run.push(point);
    else runs.push([point]);
  }
  return runs.flatMap((run) => {
    const place = (ms, value) => `${x(Math.min(now, ms)).toFixed(1)} ${y(value).toFixed(1)}`;
    const last = run.at(-1)[0];
    const isNow = run === runs.at(-1) && now - last <= 2.5 * slot;
    const over = isNow ? run.filter((point) => point[0] + slot < now) : run;
    const spots = [place(...run[0]), ...over.map(([ms, value]) => place(ms + slot, value))];
    if (isNow) spots.push(place(now, used));
    const line = spots.join("L");
    const end = x(isNow ? now : Math.min(now, last + slot)).toFixed(1);
    const start = x(run[0][0]).toFixed(1);
    return [
      s("path", { class: "fill", d: `M${start} ${floor}L${line}L${end} ${floor}z` }),
      s("path", { class: "line", d: `M${line}` }),
    ];
  });
}

// For how long pressure was above normal.
function pressed(levels, from, now) {
  return levels.reduce((sum, [at, name], place) => {
    const until = levels[place + 1]?.[0] ?? now;
    return sum + (name === "normal" ? 0 : Math.max(0, until - Math.max(at, from)));
  }, 0);
}

function pressure(levels, from, now, x, y) {
  return levels.flatMap(([at, name], place) => {
    const until = levels[place + 1]?.[0] ?? now;
    if (name === "normal" || until < from) return [];
    const [start, end] = [x(at), x(until)];
    return [
      s(
        "rect",
        { class: `pressure-${name}`, x: start, y, height: 3, width: Math.max(1, end - start) },
        s("title", {}, `pressure ${name} from ${clock(at)}`),
      ),
    ];
  });
}

// A button that saves what a chart shows as a picture, drawn by the server. `span`: what is chosen.
export function saver(path, name, span) {
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet save",
      title: "save it as an SVG picture",
      onclick: async () => {
        const of = span() === 60_000 ? "minute" : "hour";
        try {
          await save(`${path}?span=${of}`, `${name}-${of}.svg`);
          text(button, "Save picture");
        } catch (error) {
          text(button, `Not saved: ${error.message}`);
        }
      },
    },
    "Save picture",
  );
  return button;
}

// Buttons for how far back a chart looks.
export function spans(chosen, choose) {
  const button = (name, value) => {
    const made = h(
      "button",
      {
        type: "button",
        class: "seg",
        "aria-pressed": String(chosen === value),
        onclick: () => {
          for (const other of box.children) other.setAttribute("aria-pressed", "false");
          made.setAttribute("aria-pressed", "true");
          choose(value);
        },
      },
      name,
    );
    return made;
  };
  const box = h("span", { class: "segs", role: "group", "aria-label": "How far back" });
  box.append(button("1 min", 60_000), button("1 h", 3_600_000));
  return box;
}
