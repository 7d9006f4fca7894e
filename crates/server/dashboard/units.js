// Figures for people: always with their unit, and by one rule on every page, in every sentence and
// on the command line.

const NAMES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

// The largest unit that it has one of: whole where it is whole, else three figures.
export function bytes(value) {
  if (value === null || value === undefined) return "none";
  let size = Number(value),
    unit = 0;
  while (size >= 1024 && unit < NAMES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  if (Number.isInteger(size)) return `${size} ${NAMES[unit]}`;
  // 1023.7 MiB would be told as 1024 MiB.
  if (size >= 1023.5 && unit < NAMES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${NAMES[unit]}`;
}

// The sizes within a sentence, told by the same rule.
export function sized(sentence) {
  const size = /(?<![\d.,])(\d+(?:\.\d+)?) (bytes|B|[KMGTPE]iB)\b/g;
  return sentence.replace(size, (_, amount, unit) =>
    bytes(Math.round(amount * 1024 ** Math.max(0, NAMES.indexOf(unit)))),
  );
}

// As people type it into a field; exact.
export function exact(value) {
  if (value === null || value === undefined) return "";
  for (let unit = NAMES.length - 1; unit > 0; unit -= 1) {
    const whole = value / 1024 ** unit;
    if (whole >= 1 && Number.isInteger(whole * 8)) return `${whole}${NAMES[unit]}`;
  }
  return String(value);
}

const FACTORS = {
  "": 1,
  b: 1,
  bytes: 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

// What is typed, in bytes; null if nothing is, NaN if it is no size.
export function parse(text) {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === "" || trimmed === "none") return null;
  const parts = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(trimmed);
  const factor = parts && FACTORS[parts[2]];
  return factor ? Math.round(Number(parts[1]) * factor) : NaN;
}

export function count(value) {
  return value < 100_000 ? String(value) : `${(value / 1000).toFixed(0)} k`;
}

export function percent(part, whole) {
  if (!whole) return "0 %";
  const value = (part * 100) / whole;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 2) return "now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function times(n, what) {
  return `${count(n)} ${what}${n === 1 ? "" : "s"}`;
}

export const TYPES = ["model_load", "inference", "cache", "background"];

export function typeName(type) {
  return type === "model_load" ? "model load" : type;
}

// The facade's sentences, in the words and units of this page.
export function plain(sentence) {
  return sized(sentence)
    .replaceAll("max_memory_mb of the manager", "capacity")
    .replaceAll("max_memory_mb", "limit")
    .replaceAll("guaranteed_memory_mb", "guarantee")
    .replaceAll("burst_limit_mb", "burst limit");
}
