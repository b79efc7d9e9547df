// The dashboard, and the consoles of both pages.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { assertOneNewOrder, buyButton, fillCart } from "../shopper.mjs";
import { consoleErrors, eventually, open, orderIds, screenshot, see, setAvailable } from "../support.mjs";

const EVENTS = "/api/dashboard/events";

// Returns the number of points in the chart of orders.
async function chartPoints(page) {
  const path = await page.getByTestId("chart-orders").locator("path.line-a").getAttribute("d");
  return (path.match(/[ML]/g) ?? []).length;
}

scenario("the dashboard shows goals, charts and the race", async () => {
  const page = await open("/dashboard");
  await see(page.getByTestId("connection").getByText("Live"));
  const kinds = ["negative-stock", "conflict-rate", "mean-attempts", "checkout-seconds", "failed-orders"];
  await Promise.all(kinds.map((kind) => see(page.getByTestId(`kpi-${kind}`))));
  assert.equal(await page.locator(".kpi").count(), kinds.length);
  await see(page.getByTestId("stock-bars").getByText("Palm basket"));

  const points = () => chartPoints(page);
  await eventually("points of the chart", points, (count) => count >= 3);

  await page.getByTestId("race-buyers").fill("50");
  await page.getByTestId("race-units").fill("10");
  await page.getByTestId("race-start").click();
  await see(page.getByTestId("race-result").getByText("Optilock:"));
  const sold = async (way) => {
    const text = await page.getByTestId(`race-${way}-count`).textContent();
    const dots = await page.getByTestId(`race-${way}`).locator("[data-state=sold], [data-state=over]").count();
    assert.match(text, new RegExp(`^${dots} sold of 10\\.`));
    return dots;
  };
  assert.ok(await sold("naive") > 10, "the naive code oversells");
  assert.equal(await sold("optilock"), 10);
  assert.equal(await page.getByTestId("race-optilock").locator("[data-state=refused]").count(), 40);
  await see(page.getByTestId("race-start").getByText("Start the race"));
  await screenshot(page, "dashboard");

  const afterRace = await points();
  await eventually("points after the race", points, (count) => count > afterRace + 1);
  await see(page.getByTestId("connection").getByText("Live"));
});

// Answers each request for the events with these ticks, and then ends the stream.
async function answerTicks(page, ticks) {
  const body = ticks.map((tick) => `event: tick\ndata: ${JSON.stringify(tick)}\n\n: a comment\n\n`).join("");
  await page.route(`**${EVENTS}`, (route) => route.fulfill({ contentType: "text/event-stream", body }));
}

const kpi = (kind, value, goal, threshold) => ({ kind, value, goal, threshold, alert: value > threshold });
const tickAt = (at) => ({
  at: new Date(at).toISOString(),
  products: [],
  orders_per_second: 12_345,
  checkouts: 1_234_567,
  conflicts: { absorbed: 54_321, escaped: 0 },
  kpis: [kpi("conflict-rate", 0.005, 0.01, 0.05), kpi("mean-attempts", 2, 1.5, 2.5), kpi("checkout-seconds", 9, 2, 5)],
});

scenario("figures between goal and threshold have a state of their own, and figures are grouped", async () => {
  const page = await open("about:blank");
  await answerTicks(page, [tickAt(Date.now())]);
  await page.goto("/dashboard");
  await see(page.getByTestId("kpi-conflict-rate").getByText("OK"));
  await see(page.getByTestId("kpi-mean-attempts").getByText("Above the goal"));
  await see(page.getByTestId("kpi-checkout-seconds").getByText("Alert"));
  const colours = await page.locator(".kpi-value").evaluateAll((nodes) => nodes.map((node) => getComputedStyle(node).color));
  assert.equal(new Set(colours).size, 3);
  for (const figure of ["12,345", "1,234,567", "54,321"]) await see(page.getByText(figure, { exact: true }).first());
  for (const unit of ["orders per second", "milliseconds"]) await see(page.locator("svg").getByText(unit, { exact: true }));
  await screenshot(page, "kpi-states");
});

scenario("old figures are not called live, and the dashboard recovers", async () => {
  const page = await open("about:blank");
  // The server repeats its last tick to each connection, as it does without a database.
  const at = Date.UTC(2026, 0, 2, 3, 4, 5);
  await answerTicks(page, [tickAt(at - 1000), tickAt(at)]);
  await page.goto("/dashboard");
  const connection = page.getByTestId("connection");
  const time = new Intl.DateTimeFormat("en-US", { timeStyle: "medium" }).format(at);
  await see(connection.getByText(`Old figures: nothing new since ${time}`));
  // Each further connection gets the same tick.
  await page.waitForRequest(`**${EVENTS}`);
  await page.waitForResponse(`**${EVENTS}`);
  assert.equal(await connection.getAttribute("data-state"), "old");
  await screenshot(page, "old-figures");
  await page.unroute(`**${EVENTS}`);
  await see(connection.getByText("Live"));
});

scenario("forced colours show who was sold a piece in the race", async () => {
  const page = await open("/dashboard", { forcedColors: "active" });
  await see(page.getByTestId("connection").getByText("Live"));
  await page.getByTestId("race-buyers").fill("20");
  await page.getByTestId("race-units").fill("5");
  await page.getByTestId("race-start").click();
  await see(page.getByTestId("race-result").getByText("Optilock:"));
  await screenshot(page, "forced-colours");
  const signs = (way) => page.getByTestId(`race-${way}`).locator(".dot").evaluateAll((dots) => dots.map((dot) => {
    const { content, color } = getComputedStyle(dot, "::before");
    return content.startsWith("none") || color === getComputedStyle(document.body).backgroundColor ? "" : content.at(1);
  }));
  const optilock = await signs("optilock");
  assert.equal(optilock.filter((sign) => sign === "✓").length, 5);
  assert.equal(optilock.filter((sign) => sign === "").length, 15);
  assert.ok((await signs("naive")).includes("✕"));
});

scenario("the pages report no errors and keep to the security policy", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana", colorScheme: "dark" });
  const before = await orderIds("Ana");
  await fillCart(page, "basket");
  await screenshot(page, "dark");
  await buyButton(page).click();
  await assertOneNewOrder(page, "Ana", before);
  const dashboard = await open("/dashboard", { colorScheme: "dark" });
  await see(dashboard.getByTestId("connection").getByText("Live"));
  await eventually("points of the chart", () => chartPoints(dashboard), (count) => count >= 3);
  await screenshot(dashboard, "dark-dashboard");
  assert.deepEqual(consoleErrors(), []);

  // The policy is enforced, and its violations are reported.
  const probe = await open("/");
  await probe.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "globalThis.injected = true";
    document.body.append(script);
  });
  await eventually("the violation is reported", async () => consoleErrors().join("\n"), (errors) => errors.includes("Content-Security-Policy: script-src"));
  assert.equal(await probe.evaluate(() => globalThis.injected), undefined);
});
