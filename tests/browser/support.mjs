// Starts the storefront and the browser, opens pages, and calls the API.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const binary = path.resolve(here, process.env.STOREFRONT || "../../target/release/storefront");
const screenshots = process.env.SCREENSHOTS;

// A directory with pages that replace those in the program.
const pages = process.env.PAGES;

const START_MS = 60_000;
const STOP_MS = 20_000;
const WAIT_MS = 15_000;

let server; // { child, origin }: the one that pages are opened from
let browser;

// --- Start and stop ---

export async function start() {
  const executablePath = findChromium();
  server = await startServer();
  const root = process.getuid?.() === 0;
  browser = await chromium.launch({
    executablePath,
    chromiumSandbox: !root,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export async function stop() {
  await browser?.close().catch(() => {});
  await stopServer(server);
}

// Runs `run` with another server, which is started with these options.
export async function onServer(options, run) {
  const before = server;
  server = await startServer(options);
  try {
    await run();
    await closeAll();
  } finally {
    await stopServer(server);
    server = before;
  }
}

function startServer(options = []) {
  if (!existsSync(binary)) {
    throw new Error(`no program at ${binary}: run "cargo build --release --bin storefront", or set STOREFRONT`);
  }
  // Without DATABASE_URL the program starts a throwaway server, and removes it at its end.
  const env = { ...process.env };
  delete env.DATABASE_URL;
  const child = spawn(binary, ["--address", "127.0.0.1:0", ...options], { env, stdio: ["ignore", "pipe", "pipe"] });
  if (child.pid) {
    const guard = guardOf(child.pid);
    child.once("exit", () => guard.kill("SIGKILL"));
  }
  let log = "";
  child.stderr.on("data", (text) => { log = (log + text).slice(-4000); });
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`the storefront ${why}\n${log}`));
    const timer = setTimeout(() => fail(`printed no address within ${START_MS / 1000} s`), START_MS);
    child.once("error", (error) => fail(`did not start: ${error.message}`));
    child.once("exit", (code, signal) => fail(`ended (${code ?? signal})`));
    createInterface(child.stdout).on("line", (line) => {
      const address = line.match(/^shop\s+(http:\S+)\/$/)?.[1];
      if (!address) return;
      clearTimeout(timer);
      resolve({ child, origin: address });
    });
  });
}

// Ends the server when this process ends for any reason: the pipe is closed then,
// and `cat` ends.
function guardOf(pid) {
  const script = 'cat; kill -TERM "$0"';
  const child = spawn("sh", ["-c", script, String(pid)], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  child.unref();
  child.stdin.unref();
  return child;
}

async function stopServer({ child } = {}) {
  if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const directories = (process.env.PATH ?? "").split(path.delimiter);
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    const found = directories.map((directory) => path.join(directory, name)).find((file) => existsSync(file));
    if (found) return found;
  }
  throw new Error("no Chromium found: install it, or set CHROMIUM to its path");
}

// --- Sessions ---

const sessions = [];

// Opens a new browser window without any stored state. `mayFail` lists the paths
// whose loads may fail; any other error on the console fails the test.
export async function open(where = "/", { as, mayFail = [], ...options } = {}) {
  const context = await browser.newContext({
    baseURL: server.origin,
    locale: "en-US",
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(WAIT_MS);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  if (pages) await servePages(context);

  const page = await context.newPage();
  const session = { context, errors: [] };
  sessions.push(session);
  page.on("pageerror", (error) => session.errors.push(error.stack));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    const { pathname } = new URL(message.location().url || page.url());
    const expected = message.text().startsWith("Failed to load resource") && mayFail.includes(pathname);
    if (!expected) session.errors.push(`${message.text()} (${pathname})`);
  });

  await page.goto(where);
  if (as) {
    await see(page.getByTestId("shop-as").locator("option").first(), "attached");
    await page.getByTestId("shop-as").selectOption({ label: as });
    await see(page.getByTestId("cart-loading"), "hidden");
  }
  return page;
}

// Returns the errors on the consoles of all open pages since the last call.
export function consoleErrors() {
  return sessions.flatMap(({ errors }) => errors.splice(0));
}

export async function closeAll() {
  const errors = consoleErrors();
  for (const { context } of sessions.splice(0)) await context.close();
  assert.deepEqual(errors, [], "errors on the console");
}

const mediaTypes = { ".css": "text/css", ".js": "text/javascript" };

// Replaces the bodies of the pages, not their headers.
async function servePages(context) {
  const names = { "/": "index.html", "/dashboard": "dashboard.html" };
  const isPage = (url) => url.pathname in names || url.pathname.startsWith("/assets/");
  await context.route(isPage, async (route) => {
    const { pathname } = new URL(route.request().url());
    const file = path.join(pages, names[pathname] ?? path.basename(pathname));
    const response = await route.fetch();
    // A file that the program does not have yet.
    const added = response.status() === 404 && existsSync(file) ? { status: 200, contentType: mediaTypes[path.extname(file)] } : {};
    await route.fulfill({ response, ...added, body: readFileSync(file) });
  });
}

// Takes a picture of the full page or of its visible part, with all animations at their end.
export async function screenshot(page, name, { fullPage = true } = {}) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage, animations: "disabled" });
}

// --- Waiting ---

export function see(locator, state = "visible", timeout = WAIT_MS) {
  return locator.waitFor({ state, timeout });
}

// Calls `ask` until its answer is right.
export async function eventually(what, ask, isRight) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    assert.ok(Date.now() < end, `${what}: still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Returns a promise, and the function that resolves it.
export function gate() {
  let release;
  const opened = new Promise((resolve) => { release = resolve; });
  return { opened, release };
}

// --- The API ---

const API = "/api/marketplace";
const tokens = { Ana: "demo-ana", Luis: "demo-luis", admin: "demo-admin" };

export async function api(user, method, where, { body, headers } = {}) {
  const response = await fetch(`${server.origin}${API}${where}`, {
    method,
    headers: { Authorization: `Bearer ${tokens[user]}`, "Content-Type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  assert.ok(response.ok, `${method} ${where}: ${response.status} ${JSON.stringify(answer)}`);
  return { answer, etag: response.headers.get("ETag") };
}

export async function product(sku) {
  return (await api("admin", "GET", `/products/${sku}`)).answer;
}

export async function addStock(sku, delta) {
  const body = { delta, reason: delta > 0 ? "delivery" : "count" };
  await api("admin", "POST", `/products/${sku}/stock`, { body });
}

export async function setAvailable(sku, wanted) {
  const { stock, reserved } = await product(sku);
  const delta = wanted - (stock - reserved);
  if (delta !== 0) await addStock(sku, delta);
}

export async function setPrice(sku, minor) {
  const { answer, etag } = await api("admin", "GET", `/products/${sku}`);
  const body = { name: answer.name, price: { ...answer.price, minor } };
  await api("admin", "PUT", `/products/${sku}`, { body, headers: { "If-Match": etag } });
}

export async function emptyCart(user) {
  await api(user, "DELETE", "/cart/items");
}

export async function orderIds(user) {
  return (await api(user, "GET", "/orders")).answer.map(({ id }) => id);
}

export async function order(user, id) {
  return (await api(user, "GET", `/orders/${id}`)).answer;
}
