// The dashboard, and the consoles of both pages.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { assertOneNewOrder, buyButton, fillCart } from "../shopper.mjs";
import { consoleErrors, eventually, open, orderIds, screenshot, see, setAvailable } from "../support.mjs";

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
