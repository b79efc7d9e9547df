// One cart in two windows.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { CHECKOUT, assertOneNewOrder, buyButton, cartLine, fillCart, message } from "../shopper.mjs";
import { emptyCart, open, orderIds, screenshot, see, setAvailable, setPrice } from "../support.mjs";

const CART = "/api/marketplace/cart/items";

scenario("a window that is out of date buys nothing until the shopper has seen the cart", async () => {
  await emptyCart("Ana");
  for (const sku of ["clay-pot", "mezcal-cup"]) await setAvailable(sku, 20);
  await setPrice("clay-pot", 45_000);
  const first = await open("/", { as: "Ana", mayFail: [CHECKOUT] });
  const before = await orderIds("Ana");
  await fillCart(first, "clay-pot");
  const second = await open("/", { as: "Ana" });
  await second.getByTestId("add-mezcal-cup").click();
  await see(cartLine(second, "mezcal-cup"));

  assert.equal(await first.getByTestId("cart-total").textContent(), "MX$450.00");
  await buyButton(first).click();
  await see(message(first).getByText("Your cart was changed in another window."));
  await see(message(first).getByText("Mezcal cup: 1 added."));
  await see(message(first).getByText("Nothing was ordered."));
  await see(cartLine(first, "mezcal-cup"));
  assert.equal(await first.getByTestId("cart-total").textContent(), "MX$545.00");
  assert.deepEqual(await orderIds("Ana"), before);
  await screenshot(first, "cart-changed");

  await buyButton(first).click();
  const bought = await assertOneNewOrder(first, "Ana", before);
  assert.equal(bought.total.minor, 54_500);
});

scenario("a change of a cart that was changed elsewhere is asked for again", async () => {
  await emptyCart("Luis");
  await setAvailable("basket", 20);
  const first = await open("/", { as: "Luis", mayFail: [CART] });
  const second = await open("/", { as: "Luis" });
  await second.getByTestId("add-basket").click();
  await see(cartLine(second, "basket"));

  await first.getByTestId("add-basket").click();
  await see(message(first).getByText("Palm basket: 1 added."));
  const quantity = cartLine(first, "basket").locator("input");
  assert.equal(await quantity.inputValue(), "1", "the change was not made");
  await first.getByTestId("add-basket").click();
  await see(first.locator("#announcer").getByText("2 in your cart"), "attached");
  assert.equal(await quantity.inputValue(), "2");
  await emptyCart("Luis");
});
