// The dashboard: follows the events of the server and draws each tick.

import { call, listen, signIn } from "./api.js";
import { pauseAfter, sleep } from "./backoff.js";
import { drawLines, makeBar } from "./charts.js";
import { noteLoss, noteTick, startConnection } from "./connection.js";
import { el, find, setText } from "./dom.js";
import { number } from "./formats.js";
import { showKpis } from "./kpis.js";
import { startRaceForm } from "./race.js";
import { startSettings } from "./settings.js";
import { translatePage, words } from "./words.js";

const WINDOW_SECONDS = 120;

// A tick arrives each second. After this much silence the connection is dead,
// even if the browser has not noticed.
const SILENCE_MS = 6000;
const MAX_PAUSE_MS = 5000;

let ticks = []; // those of the last two minutes

// --- The stream ---

async function follow() {
  let failures = 0;
  for (;;) {
    await readTicks(() => { failures = 0; });
    noteLoss();
    failures += 1;
    await sleep(pauseAfter(failures, MAX_PAUSE_MS));
  }
}

// Returns when the stream has ended for any reason.
async function readTicks(onNew) {
  const stop = new AbortController();
  let watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
  try {
    await signInAsAdmin();
    await listen("GET", "/api/dashboard/events", {
      signal: stop.signal,
      onEvent(name, tick) {
        // The first tick of a connection may be a repeated one.
        if (name !== "tick" || !noteTick(Date.parse(tick.at))) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
        onNew();
        showTick(tick);
      },
    });
  } catch (problem) {
    console.info("The stream of ticks has ended:", problem.message);
  } finally {
    clearTimeout(watchdog);
  }
}

// The demo has no passwords. A dashboard in production must ask for one.
async function signInAsAdmin() {
  const users = await call("GET", "/api/demo/users");
  signIn(users.find(({ admin }) => admin)?.token);
}

// --- A tick ---

function showTick(tick) {
  const time = Date.parse(tick.at);
  ticks.push({ ...tick, time });
  ticks = ticks.filter((old) => old.time >= time - WINDOW_SECONDS * 1000);
  showKpis(tick.kpis);
  showStock(tick.products);
  showNumbers(tick);
  drawCharts();
}

function drawCharts() {
  if (ticks.length === 0) return;
  const { time: end, orders_per_second, latency_ms } = ticks.at(-1);
  const points = (pick) => ticks.map((tick) => ({ time: tick.time, value: pick(tick) }));

  setText(find("orders-now"), number(orders_per_second, { maximumFractionDigits: 1 }));
  drawLines(find("chart-orders"), {
    end,
    seconds: WINDOW_SECONDS,
    unit: words.perSecond,
    lines: [{ className: "line-a", points: points((tick) => tick.orders_per_second) }],
  });

  find("latency-now").replaceChildren(
    el("span", { class: "key-a" }, `p50 ${milliseconds(latency_ms?.p50)}`), " ",
    el("span", { class: "key-b" }, `p99 ${milliseconds(latency_ms?.p99)}`));
  drawLines(find("chart-latency"), {
    end,
    seconds: WINDOW_SECONDS,
    unit: words.inMilliseconds,
    lines: [
      { className: "line-a", points: points((tick) => tick.latency_ms?.p50 ?? null) },
      { className: "line-b", points: points((tick) => tick.latency_ms?.p99 ?? null) },
    ],
  });
}

function milliseconds(value) {
  return Number.isFinite(value) ? `${number(value, { maximumFractionDigits: 1 })} ms` : "\u2013";
}

function showNumbers(tick) {
  const texts = {
    absorbed: tick.conflicts.absorbed,
    escaped: tick.conflicts.escaped,
    queue: tick.queue_depth,
    checkouts: tick.checkouts,
    sold: tick.sold,
    refused: tick.refused,
    attempts: tick.attempts_mean,
  };
  for (const [id, value] of Object.entries(texts)) {
    setText(find(id), Number.isFinite(value) ? number(value) : "\u2013");
  }
}

// --- Stock ---

const bars = new Map(); // by sku
let most = 1; // the largest stock seen, so that the bars keep their scale

function showStock(products) {
  most = Math.max(most, ...products.map(({ stock }) => stock));
  for (const product of products) {
    if (!bars.has(product.sku)) {
      const bar = makeStockBar(product);
      bars.set(product.sku, bar);
      find("stock").append(bar.root);
    }
    bars.get(product.sku).update(product);
  }
  for (const [sku, bar] of bars) {
    if (products.some((product) => product.sku === sku)) continue;
    bar.root.remove();
    bars.delete(sku);
  }
}

function makeStockBar({ name }) {
  const bar = makeBar();
  const count = el("span", { class: "stock-count" });
  const root = el("li", {}, el("span", { class: "stock-name" }, name), count, bar.root);
  function update({ stock, reserved }) {
    setText(count, stock === 0 ? words.soldOut : words.stockOf(stock, reserved));
    bar.update(stock, reserved, most);
  }
  return { root, update };
}

// --- Start ---

translatePage();
startSettings();
startRaceForm();
new ResizeObserver(drawCharts).observe(find("chart-orders"));
startConnection();
follow();
