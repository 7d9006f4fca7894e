// A server with something to show: tenants that hold, ask in vain, are evicted, and go on.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep } from "./browser.mjs";

const MIB = 2 ** 20;
const LEASE_MS = 8000;

const SETUP = `
capacity = "24GiB"
# Reached by nobody but who is asked to.
[cache]
limit = "23GiB"
[[groups]]
name = "research"
limit = "9GiB"
[[tenants]]
name = "chat"
guarantee = "4GiB"
limit = "8GiB"
burst = "10GiB"
priority = "critical"
[[tenants]]
name = "agents"
guarantee = "2GiB"
limit = "6GiB"
priority = "high"
[[tenants]]
name = "search"
guarantee = "1GiB"
limit = "4GiB"
[[tenants]]
name = "embeddings"
limit = "3GiB"
[[tenants]]
name = "batch"
limit = "12GiB"
priority = "low"
[[tenants]]
name = "evals"
group = "research"
limit = "6GiB"
priority = "low"
[[tenants]]
name = "notebooks"
group = "research"
[[tenants]]
name = "speech"
guarantee = "512MiB"
limit = "2GiB"
[[tenants]]
name = "vision"
[[tenants]]
name = "archive"
limit = "1GiB"
priority = "low"
`;

export function many(tenants) {
  const one = (n) =>
    `[[tenants]]\nname = "tenant-${String(n).padStart(4, "0")}"\n` +
    `guarantee = "${n % 3 ? 4 : 16}MiB"\nlimit = "${32 + (n % 7) * 16}MiB"\n`;
  const all = Array.from({ length: tenants }, (_, n) => one(n + 1));
  return `capacity = "48GiB"\n${all.join("")}`;
}

export class Server {
  constructor(program, setup = SETUP) {
    this.program = program;
    this.folder = mkdtempSync(join(tmpdir(), "dashboard-server-"));
    this.token = `dashboard-test-${"0123456789abcdef".repeat(2)}`;
    writeFileSync(join(this.folder, "allot.toml"), setup);
    writeFileSync(join(this.folder, "token"), this.token, { mode: 0o600 });
    this.listen = "127.0.0.1:0";
  }

  async start() {
    const files = [
      "--config",
      join(this.folder, "allot.toml"),
      "--admin-token",
      join(this.folder, "token"),
    ];
    this.process = spawn(this.program, ["serve", "--listen", this.listen, ...files], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    const at = await new Promise((resolve, reject) => {
      const heard = (chunk) => {
        said += chunk;
        const found = /http:\/\/([0-9.:]+)/.exec(said);
        if (found) resolve(found[1]);
      };
      this.process.stdout.on("data", heard);
      this.process.stderr.on("data", heard);
      this.process.on("exit", () => reject(new Error(`the server did not start: ${said}`)));
    });
    // The same address after a restart, as an operator has it.
    this.listen = at;
    this.url = `http://${at}`;
  }

  async stop() {
    if (this.process?.exitCode === null && this.process.signalCode === null) {
      const ended = new Promise((resolve) => this.process.once("exit", resolve));
      this.process.kill("SIGTERM");
      await ended;
    }
  }

  async end() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async ask(method, path, body) {
    const answer = await fetch(this.url + path, {
      method,
      body: body && JSON.stringify(body),
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : null };
  }
}

// Holders of the demo: each renews what it holds, and some come and go.
export class Traffic {
  constructor(server) {
    this.server = server;
    this.held = new Map();
    this.over = false;
    this.turn = 0;
  }

  async take(tenant, mib, type, model, more = {}) {
    const ask = { tenant, bytes: mib * MIB, type, model, lease_ms: LEASE_MS, ...more };
    const { status, body } = await this.server.ask("POST", "/v1/requests", ask);
    if (status === 201) this.held.set(body.id, { ...body, name: tenant });
    return { status, body };
  }

  async drop(grant) {
    this.held.delete(grant.id);
    await this.server.ask("DELETE", `/v1/grants/${grant.id}?epoch=${grant.epoch}`);
  }

  of(tenant, type) {
    return [...this.held.values()].filter((grant) => grant.name === tenant && grant.type === type);
  }

  async begin() {
    const at_once = { on_evict: "at_once" };
    await this.take("chat", 4300, "model_load", "llama-70b-q4");
    await this.take("agents", 2100, "model_load", "qwen-14b");
    await this.take("search", 900, "model_load", "bge-large");
    await this.take("speech", 700, "model_load", "whisper-v3");
    await this.take("vision", 1200, "model_load", "siglip");
    await this.take("batch", 3600, "model_load", "mixtral-8x7b");
    for (let n = 0; n < 8; n += 1) await this.take("batch", 512, "cache", "prefix cache", at_once);
    for (let n = 0; n < 6; n += 1) await this.take("embeddings", 300, "cache", "vectors", at_once);
    for (let n = 0; n < 4; n += 1) await this.take("notebooks", 384, "background", "jupyter");
    await this.take("notebooks", 800, "model_load", "phi-3-mini");
    await this.take("evals", 1500, "inference", "mmlu run");
    this.looping = this.loop();
  }

  async loop() {
    while (!this.over) {
      await this.step().catch(() => {});
      await sleep(400);
    }
  }

  // Renews all, and does one of a few things: every turn a little differently, and never at random.
  async step() {
    this.turn += 1;
    const turn = this.turn;
    for (const grant of [...this.held.values()]) {
      if (turn % 5 !== 0) break;
      const path = `/v1/grants/${grant.id}/renew`;
      const { status, body } = await this.server.ask("POST", path, { epoch: grant.epoch });
      if (status !== 200) this.held.delete(grant.id);
      else if (body.evict_within_ms !== null) await this.drop(grant);
    }
    const size = 220 + ((turn * 97) % 380);
    await this.take("chat", size, "inference", "llama-70b-q4");
    if (this.of("chat", "inference").length > 4) await this.drop(this.of("chat", "inference")[0]);
    await this.take("agents", (size / 2) | 0, "inference", "qwen-14b");
    if (this.of("agents", "inference").length > 6)
      await this.drop(this.of("agents", "inference")[0]);
    if (turn % 3 === 0)
      await this.take("batch", 512, "cache", "prefix cache", { on_evict: "at_once" });
    if (turn % 4 === 0)
      await this.take("embeddings", 300, "cache", "vectors", { on_evict: "at_once" });
    if (turn % 7 === 0) await this.take("search", 3400, "inference", "bge-large");
    if (turn % 8 === 0) await this.take("vision", 13000, "model_load", "siglip-xl");
    if (turn % 9 === 0) await this.take("evals", 8000, "background", "nightly");
    if (turn % 11 === 0) await this.take("notebooks", 9300, "background", "jupyter");
    if (turn % 6 === 0) {
      const largest = this.of("batch", "inference")[0];
      if (largest) await this.drop(largest);
      else await this.take("batch", 2600, "inference", "mixtral-8x7b");
    }
  }

  async end() {
    this.over = true;
    await this.looping;
  }
}

// So many tenants with a grant each, of which a part changes every second.
export class Crowd {
  constructor(server, tenants) {
    Object.assign(this, { server, tenants, over: false, turn: 0 });
  }

  name(n) {
    return `tenant-${String((n % this.tenants) + 1).padStart(4, "0")}`;
  }

  async take(n, mib) {
    const ask = { tenant: this.name(n), bytes: mib * MIB, type: "cache", lease_ms: 600_000 };
    await this.server.ask("POST", "/v1/requests", ask);
  }

  async begin() {
    for (let n = 0; n < this.tenants; n += 50) {
      const some = Array.from({ length: 50 }, (_, k) => this.take(n + k, 2 + ((n + k) % 9)));
      await Promise.all(some);
    }
    this.looping = this.loop();
  }

  async loop() {
    while (!this.over) {
      this.turn += 1;
      const from = this.turn * 37;
      const some = Array.from({ length: 20 }, (_, k) => this.take(from + k * 13, 1 + (k % 3)));
      await Promise.all(some).catch(() => {});
      await sleep(60);
    }
  }

  async end() {
    this.over = true;
    await this.looping;
  }
}

export function program() {
  return `${process.env.CARGO_TARGET_DIR ?? "target"}/debug/allot`;
}
