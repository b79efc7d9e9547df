// The shop in Spanish, on a phone, and by keyboard.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import {
  ADDRESS, CHECKOUT, assertOneNewOrder, buyButton, cartLine, confirmation, fillAddress, fillCart,
  loseFirstResponse, message, onCheckout, retryButton,
} from "../shopper.mjs";
import { gate, open, order, orderIds, screenshot, see, setAvailable } from "../support.mjs";

scenario("a browser in Spanish gets a shop in Spanish", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana", locale: "es-MX", mayFail: [CHECKOUT] });
  const before = await orderIds("Ana");
  assert.equal(await page.locator("html").getAttribute("lang"), "es");
  await see(page.getByRole("heading", { name: "Su carrito" }));
  await fillCart(page, "basket");
  assert.equal(await buyButton(page).textContent(), "Comprar ahora");

  const held = gate();
  await onCheckout(page, async (route, nth) => {
    if (nth > 1) return route.continue();
    await held.opened;
    await route.abort("connectionreset");
  });
  await buyButton(page).click();
  await see(buyButton(page).getByText("Procesando...", { exact: true }));
  held.release();
  await see(message(page).getByText("La tienda no respondió."));
  assert.equal(await retryButton(page).textContent(), "Reintentar");
  await screenshot(page, "spanish");
  await retryButton(page).click();
  await assertOneNewOrder(page, "Ana", before);
  await see(confirmation(page).getByText("¡Gracias! Su pedido está hecho."));

  const dashboard = await open("/dashboard", { locale: "es-MX" });
  assert.equal(await dashboard.locator("html").getAttribute("lang"), "es");
  await see(dashboard.getByTestId("connection").getByText("En vivo"));
});

scenario("the pages fit a phone of 360 pixels, and buying works", async () => {
  await setAvailable("basket", 20);
  const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
  const page = await open("/", { ...phone, as: "Luis", mayFail: [CHECKOUT] });
  const fits = async (where, what) => {
    const wide = await where.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `${what} is ${wide} pixels wide`);
  };
  await fits(page, "the shop");
  const before = await orderIds("Luis");
  await page.getByTestId("add-basket").tap();
  await see(cartLine(page, "basket"));
  await fillAddress(page);
  await fits(page, "the cart");
  await screenshot(page, "phone");

  await loseFirstResponse(page);
  await buyButton(page).tap();
  await see(retryButton(page));
  await fits(page, "the message");
  await screenshot(page, "phone-failure");
  await retryButton(page).tap();
  await assertOneNewOrder(page, "Luis", before);
  await fits(page, "the confirmation");
  await screenshot(page, "phone-confirmation");

  const dashboard = await open("/dashboard", phone);
  await see(dashboard.getByTestId("connection").getByText("Live"));
  await see(dashboard.locator(".kpi").first());
  await fits(dashboard, "the dashboard");
  await screenshot(dashboard, "phone-dashboard");
});

scenario("the keyboard is enough to buy", async () => {
  await setAvailable("mezcal-cup", 20);
  const page = await open("/", { as: "Ana" });
  const before = await orderIds("Ana");
  const hasFocus = (locator) => locator.evaluate((node) => node === document.activeElement);
  const tabTo = async (locator) => {
    for (let i = 0; i < 80; i += 1) {
      await page.keyboard.press("Tab");
      if (!await hasFocus(locator)) continue;
      const outline = await locator.evaluate((node) => getComputedStyle(node).outlineStyle);
      assert.notEqual(outline, "none", `the focus is visible on ${locator}`);
      return;
    }
    assert.fail(`Tab does not reach ${locator}`);
  };

  await tabTo(page.getByTestId("add-mezcal-cup"));
  await page.keyboard.press("Enter");
  await see(cartLine(page, "mezcal-cup"));
  assert.ok(await hasFocus(page.getByTestId("add-mezcal-cup")), "the focus stays");
  await tabTo(page.getByRole("button", { name: "One more of Mezcal cup" }));
  await page.keyboard.press("Space");
  await see(page.getByTestId("cart-total").getByText("MX$190.00"));
  for (const [field, value] of Object.entries(ADDRESS)) {
    await tabTo(page.locator(`#${field}`));
    await page.keyboard.type(value);
  }
  await tabTo(buyButton(page));
  await page.keyboard.press("Space");

  const bought = await assertOneNewOrder(page, "Ana", before);
  assert.equal(bought.lines[0].quantity, 2);
  assert.ok(await hasFocus(confirmation(page).getByRole("heading")), "the confirmation has the focus");
  await tabTo(confirmation(page).getByTestId("pay-order"));
  await page.keyboard.press("Enter");
  await see(confirmation(page).getByText("Paid", { exact: true }));
  assert.equal((await order("Ana", bought.id)).status, "paid");
});
