// Checkouts whose response is lost.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import {
  ADDRESS, CHECKOUT, assertOneNewOrder, buyButton, cartLine, confirmation, fillCart, loseFirstResponse,
  message, onCheckout, retryButton,
} from "../shopper.mjs";
import { gate, open, orderIds, product, screenshot, see, setAvailable } from "../support.mjs";

scenario("a response is lost, and a retry does not buy twice", async () => {
  await setAvailable("mezcal-cup", 20);
  const page = await open("/", { as: "Ana", mayFail: [CHECKOUT] });
  const before = await orderIds("Ana");
  await fillCart(page, "mezcal-cup");
  const tags = await loseFirstResponse(page);
  await buyButton(page).click();

  await see(message(page).getByText("We do not know yet if your order went through."));
  await see(message(page).getByText("Press Retry. You will not buy twice."));
  assert.ok(await confirmation(page).isHidden());
  await screenshot(page, "lost-answer");
  await retryButton(page).click();

  await assertOneNewOrder(page, "Ana", before);
  await see(confirmation(page).getByText("Your first attempt went through. You bought only once."));
  assert.equal(tags.length, 2);
  assert.equal(tags[0], tags[1]);
  const { stock, reserved } = await product("mezcal-cup");
  assert.equal(stock - reserved, 19);

  // The next purchase is of another version of the cart.
  const first = await orderIds("Ana");
  await fillCart(page, "mezcal-cup");
  await buyButton(page).click();
  await assertOneNewOrder(page, "Ana", first);
  assert.notEqual(tags[2], tags[0]);
});

scenario("the page is reloaded during a checkout, and a retry does not buy twice", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Luis" });
  for (const reachesServer of [true, false]) {
    const before = await orderIds("Luis");
    await fillCart(page, "basket");
    const arrived = gate();
    const tags = await onCheckout(page, async (route, nth) => {
      if (nth > 1) return route.continue();
      if (reachesServer) assert.equal((await route.fetch()).status(), 201);
      // No response: the page is reloaded before it arrives.
      arrived.release();
    });
    await buyButton(page).click();
    await arrived.opened;
    await page.reload();

    await see(message(page).getByText("Your order was on its way when the page was closed."));
    assert.equal(await page.locator("#city").inputValue(), ADDRESS.city);
    assert.equal(await cartLine(page, "basket").count(), reachesServer ? 0 : 1);
    if (reachesServer) await screenshot(page, "reloaded");
    await retryButton(page).click();
    await assertOneNewOrder(page, "Luis", before);
    assert.equal(tags.length, 2);
    assert.equal(tags[0], tags[1]);
    assert.equal(await confirmation(page).getByText("You bought only once.").count(), reachesServer ? 1 : 0);
    await page.unroute(`**${CHECKOUT}`);
  }
  const { stock, reserved } = await product("basket");
  assert.equal(stock - reserved, 18);
});
