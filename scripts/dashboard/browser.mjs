// A headless Chromium, driven through its DevTools protocol over a pipe: no port, no package.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CALL_WITHIN_MS = 30_000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Browser {
  constructor(program) {
    this.folder = mkdtempSync(join(tmpdir(), "dashboard-"));
    // Tabs share little memory on small machines, and root has no sandbox.
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--remote-debugging-pipe",
      "--no-first-run",
      "--no-default-browser-check",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-extensions",
      "--hide-scrollbars",
      `--user-data-dir=${this.folder}`,
      "about:blank",
    ];
    this.process = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.calls = new Map();
    this.listeners = new Set();
    this.last = 0;
    let text = "";
    this.process.stdio[4].setEncoding("utf8").on("data", (chunk) => {
      const parts = (text + chunk).split("\0");
      text = parts.pop();
      parts.forEach((part) => this.receive(JSON.parse(part)));
    });
    this.process.on("exit", () => {
      for (const { reject } of this.calls.values()) reject(new Error("the browser has ended"));
    });
  }

  receive(message) {
    const call = this.calls.get(message.id);
    if (!call) {
      for (const listener of this.listeners) listener(message);
      return;
    }
    this.calls.delete(message.id);
    clearTimeout(call.timer);
    if (message.error) call.reject(new Error(`${call.method}: ${message.error.message}`));
    else call.resolve(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    this.last += 1;
    const id = this.last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), CALL_WITHIN_MS);
      this.calls.set(id, { method, resolve, reject, timer });
      this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async page() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const attached = { targetId, flatten: true };
    const { sessionId } = await this.send("Target.attachToTarget", attached);
    const page = new Page(this, sessionId, targetId);
    await page.begin();
    return page;
  }

  async end() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    if (this.process.exitCode === null) {
      await this.send("Browser.close").catch(() => this.process.kill());
      await ended;
    }
    // Its helpers end a little later, and write until then.
    const patiently = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
    rmSync(this.folder, patiently);
  }
}

// One tab, and what it did that a page should not do.
export class Page {
  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target, urls: [], faults: [], requests: new Map() });
    this.traced = null;
    browser.listeners.add((message) => {
      if (message.sessionId === session) this.heard(message.method, message.params);
    });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  async begin() {
    for (const domain of ["Page", "Runtime", "Network", "Log", "Performance"]) {
      await this.send(`${domain}.enable`);
    }
    await this.send("Page.addScriptToEvaluateOnNewDocument", {
      source: `
      window.violations = [];
      addEventListener("securitypolicyviolation", (event) =>
        violations.push(event.violatedDirective + " " + event.blockedURI + " " + event.sourceFile));`,
    });
  }

  bytes() {
    return [...this.requests.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  heard(method, params) {
    if (method === "Network.requestWillBeSent") this.urls.push(params.request.url);
    const { requestId } = params;
    if (method === "Network.dataReceived") {
      this.requests.set(requestId, (this.requests.get(requestId) ?? 0) + params.dataLength);
    }
    // What came over the wire, heads included; of a stream that goes on, what it has said so far.
    if (method === "Network.loadingFinished") {
      this.requests.set(requestId, params.encodedDataLength);
    }
    if (method === "Runtime.exceptionThrown") {
      const { exception, text } = params.exceptionDetails;
      this.faults.push(`exception: ${exception?.description ?? text}`);
    }
    if (
      method === "Runtime.consoleAPICalled" &&
      ["error", "warning", "assert"].includes(params.type)
    ) {
      this.faults.push(`console: ${params.args.map((arg) => arg.value).join(" ")}`);
    }
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) {
      this.faults.push(
        `log: ${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ""}`,
      );
    }
    if (method === "Tracing.dataCollected") this.traced?.push(...params.value);
    this.once?.(method, params);
  }

  async close() {
    await this.browser.send("Target.closeTarget", { targetId: this.target });
  }

  async size(width, height) {
    const metrics = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.send("Emulation.setDeviceMetricsOverride", metrics);
  }

  async dark(dark) {
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  async open(url) {
    await this.send("Page.navigate", { url });
  }

  // The value of an expression in the page.
  async value(expression) {
    const asked = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", asked);
    if (exceptionDetails) {
      throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    }
    return result.value;
  }

  // Waits until an expression is true.
  async until(expression, what, within = 15_000) {
    const end = Date.now() + within;
    for (;;) {
      const found = await this.value(expression).catch(() => false);
      if (found) return found;
      if (Date.now() > end) {
        const seen = await this.value("document.body.innerText.slice(0, 600)").catch(() => "");
        throw new Error(`not within ${within / 1000} s: ${what}\n${expression}\nseen:\n${seen}`);
      }
      await sleep(50);
    }
  }

  async click(selector) {
    await this.until(`Boolean(document.querySelector(${JSON.stringify(selector)}))`, selector);
    await this.value(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  // A key as a person presses it.
  async key(key, modifiers = 0) {
    const codes = { Enter: 13, Escape: 27, Tab: 9, ArrowDown: 40, ArrowUp: 38, End: 35, Home: 36 };
    const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
    const event = {
      key,
      modifiers,
      text,
      windowsVirtualKeyCode: codes[key] ?? key.toUpperCase().charCodeAt(0),
    };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, modifiers });
  }

  async type(text) {
    await this.send("Input.insertText", { text });
  }

  async shoot(path) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }

  // Where files are saved from now on.
  async saveTo(folder) {
    await this.browser.send("Browser.setDownloadBehavior", {
      behavior: "allow",
      downloadPath: folder,
    });
  }

  // What the main thread did for so long: the events of DevTools' timeline.
  async trace(ms) {
    this.traced = [];
    const done = new Promise((resolve) => {
      this.once = (method) => {
        if (method === "Tracing.tracingComplete") resolve();
      };
    });
    const traceConfig = { includedCategories: ["devtools.timeline", "v8.execute"] };
    await this.send("Tracing.start", { traceConfig, transferMode: "ReportEvents" });
    await sleep(ms);
    await this.send("Tracing.end");
    await done;
    this.once = null;
    return this.traced;
  }
}
