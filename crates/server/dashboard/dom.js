// Elements, made and changed without a line of markup in strings.

import { now } from "./store.js";
import { ago, clock } from "./units.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Writes only what differs: what stays as it is costs no layout.
export function text(element, value) {
  if (element.shown !== value) {
    element.shown = value;
    element.textContent = value;
  }
}

export function attribute(element, name, value) {
  const key = `was_${name}`;
  if (element[key] === value) return;
  element[key] = value;
  if (value === null || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export function tell(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null));
}

// A list that keeps what has not changed: rebuilt only where its key differs. Whoever is at one of
// its links by keys stays there.
export function list(element, items, key, build) {
  const wanted = items.map(key).join("\n");
  if (element.wanted === wanted) return;
  element.wanted = wanted;
  const at = element.contains(document.activeElement) ? document.activeElement.href : null;
  tell(element, items.map(build));
  if (at) [...element.querySelectorAll("a")].find((link) => link.href === at)?.focus();
}

// Draws with the next frame, once, however often it is called; not at all while nobody sees it.
export function frame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

// Of which look at the server what is shown is: the page says it once, each part carries it.
export function dated(ms, ...elements) {
  text(document.getElementById("asof"), `as of ${clock(ms)}`);
  for (const element of elements) attribute(element, "data-time", String(ms));
}

// How long ago something was, kept up to date by `tick`.
export function since(ms) {
  return h("span", { class: "muted", "data-at": ms }, ago(now() - ms));
}

export function tick() {
  for (const element of document.querySelectorAll("[data-at]")) {
    text(element, ago(now() - element.dataset.at));
  }
}

export function field(label, input, hint) {
  return h(
    "label",
    { class: "field" },
    h("span", {}, label),
    input,
    hint ? h("small", {}, hint) : null,
  );
}
