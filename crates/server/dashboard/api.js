// Talks to the server: the token, calls, and the stream of changes with its comings and goings.

const KEY = "allotment-token";
const RETRY_MS = [500, 1000, 2000, 3000, 5000];
// Changes come every second: a stream that is silent for so long is dead.
const SILENT_MS = 6000;

export function token() {
  return sessionStorage.getItem(KEY);
}

export function setToken(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.title = problem.title || `the server answered ${status}`;
    this.kind = (problem.type || "").split(":").pop();
    this.problem = problem;
  }
}

function request(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${token() ?? ""}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init = { method, headers, signal, cache: "no-store", credentials: "omit" };
  if (body !== undefined) init.body = JSON.stringify(body);
  return fetch(path, init);
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  return new Refused(answer.status, problem);
}

export async function call(method, path, body) {
  const answer = await request(method, path, body);
  if (!answer.ok) throw await refusal(answer);
  return answer.status === 204 ? null : answer.json();
}

// Saves what a path answers as a file.
export async function save(path, name) {
  const answer = await request("GET", path);
  if (!answer.ok) throw await refusal(answer);
  const url = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has read it by then, or never will.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function wait(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

// One event of the stream: what stands after `event:` and `data:`.
function readEvent(block) {
  let name = "message",
    data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  return [name, data];
}

async function readStream(answer, alive, heard) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    parts.push(value);
    if (!value.includes("\n\n") && !value.startsWith("\n")) continue;
    const blocks = parts.join("").split("\n\n");
    parts = [blocks.pop()];
    for (const block of blocks) {
      const [name, data] = readEvent(block);
      if (data) heard(name, JSON.parse(data));
    }
  }
}

// Watches until it is stopped. `told(state, detail)`: `live`, `lost` (with when it tries again), or
// `denied` (with the refusal), after which it has stopped.
export function watch(heard, told) {
  const stop = new AbortController();
  let retry = null;
  const run = async () => {
    for (let failures = 0; !stop.signal.aborted;) {
      const dead = new AbortController();
      let timer;
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => dead.abort(), SILENT_MS);
      };
      alive();
      try {
        const signal = AbortSignal.any([stop.signal, dead.signal]);
        const answer = await request("GET", "/v1/watch", undefined, signal);
        if (answer.status === 401 || answer.status === 403) {
          told("denied", await refusal(answer));
          return;
        }
        if (!answer.ok) throw await refusal(answer);
        await readStream(answer, alive, (name, data) => {
          failures = 0;
          heard(name, data);
          told("live");
        });
      } catch {
        if (stop.signal.aborted) return;
      } finally {
        clearTimeout(timer);
      }
      const pause = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
      failures += 1;
      retry = new AbortController();
      told("lost", pause);
      await wait(pause, AbortSignal.any([stop.signal, retry.signal]));
    }
  };
  run();
  return { stop: () => stop.abort(), now: () => retry?.abort() };
}
