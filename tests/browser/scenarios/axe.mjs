// The rules of axe for accessible pages, in each state of the pages, in both languages
// and themes, on a desktop and a phone.

import assert from "node:assert/strict";

import axe from "axe-core";

import { scenario } from "../scenario.mjs";
import { CHECKOUT, buyButton, cartLine, confirmation, fillAddress, message } from "../shopper.mjs";
import { onServer, open, orderIds, see, setAvailable, setPrice } from "../support.mjs";

const VIEWPORTS = [{ width: 1280, height: 900 }, { width: 390, height: 844 }];

async function check(page, state) {
  for (const viewport of VIEWPORTS) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      assert.deepEqual(await violations(page), [], `${state}, ${colorScheme}, ${viewport.width} pixels`);
    }
  }
}

async function violations(page) {
  // Evaluated by the browser, not by the page: its security policy allows no other script.
  if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(axe.source);
  const { violations: found, passes } = await page.evaluate(() => globalThis.axe.run());
  assert.ok(passes.some(({ id }) => id === "color-contrast"), "axe has looked at the page");
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join("\n")}`);
}

for (const locale of ["en-US", "es-MX"]) {
  scenario(`axe finds nothing in the shop, ${locale}`, async () => {
    await setAvailable("clay-pot", 20);
    await setAvailable("basket", 20);
    await setPrice("clay-pot", 45_000);
    const page = await open("/", { as: "Ana", locale, mayFail: [CHECKOUT] });
    await check(page, "the shop");

    await page.getByTestId("product-clay-pot").locator("input").fill("0");
    await page.getByTestId("add-clay-pot").click();
    await check(page, "a wrong quantity");
    await page.getByTestId("product-clay-pot").locator("input").fill("3");
    await page.getByTestId("add-clay-pot").click();
    await see(cartLine(page, "clay-pot"));
    await check(page, "the cart");
    await page.locator("#name").fill("");
    await buyButton(page).click();
    await check(page, "an address that is missing");

    await fillAddress(page);
    await setPrice("clay-pot", 48_000);
    await setAvailable("clay-pot", 2);
    await see(page.getByTestId("take-clay-pot"));
    await check(page, "a price that has changed, and a line that is short");
    await buyButton(page).click();
    await see(message(page));
    await check(page, "the message");

    await page.goto("/?product=clay-pot");
    await see(page.getByTestId("page-stock"));
    await check(page, "the page of a product");
  });

  scenario(`axe finds nothing in the payment of an order, ${locale}`, async () => {
    await onServer(["--payment-seconds", 14], async () => {
      const mayFail = [];
      const page = await open("/", { as: "Luis", locale, mayFail });
      await page.getByTestId("add-rug").click();
      await see(cartLine(page, "rug"));
      await fillAddress(page);
      await buyButton(page).click();
      await see(confirmation(page).getByRole("timer"));
      await check(page, "the confirmation");
      await confirmation(page).getByTestId("fail-order").click();
      await see(confirmation(page).locator("[data-status=payment-failed]"));
      await check(page, "a payment that failed");

      await see(confirmation(page).locator("[data-status=expired]"), "visible", 30_000);
      await check(page, "an expired order");
      const [id] = await orderIds("Luis");
      mayFail.push(`/api/marketplace/orders/${id}/pay`);
      await setAvailable("rug", 0);
      await confirmation(page).getByTestId("pay-order").click();
      await see(confirmation(page).locator(".refusal"));
      await check(page, "a late payment that is refused");
      await setAvailable("rug", 1);
      await confirmation(page).getByTestId("pay-order").click();
      await see(confirmation(page).locator("[data-status=paid]"));
      await check(page, "a paid order");
    });
  });

  scenario(`axe finds nothing in the dashboard, ${locale}`, async () => {
    const page = await open("/dashboard", { locale });
    await see(page.getByTestId("kpi-conflict-rate"));
    await see(page.locator("#connection[data-state=live]"));
    await check(page, "the dashboard");
    await page.getByTestId("race-buyers").fill("1000");
    await page.getByTestId("race-start").click();
    await check(page, "a wrong number of buyers");
    await page.getByTestId("race-buyers").fill("30");
    await page.getByTestId("race-start").click();
    await see(page.getByTestId("race-result").getByText("Optilock:"));
    await check(page, "the dashboard after a race");
  });
}
