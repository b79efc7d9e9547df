// What a shopper does and sees on the page, and what can go wrong with a checkout.

import assert from "node:assert/strict";

import { gate, order, orderIds, see } from "./support.mjs";

export const CHECKOUT = "/api/marketplace/checkout";

export const ADDRESS = {
  name: "Ana López",
  street: "Calle Macedonio Alcalá 12",
  city: "Oaxaca",
  postal_code: "68000",
};

export const buyButton = (page) => page.getByTestId("buy");
export const retryButton = (page) => page.getByTestId("retry");
export const remedy = (page, sku) => page.getByTestId(`remedy-${sku}`);
export const message = (page) => page.getByTestId("message");
export const confirmation = (page) => page.getByTestId("order-confirmation");
export const cartLine = (page, sku) => page.getByTestId(`cart-item-${sku}`);

async function addToCart(page, sku) {
  await page.getByTestId(`add-${sku}`).click();
  await see(cartLine(page, sku));
}

export async function fillAddress(page, address = ADDRESS) {
  for (const [field, value] of Object.entries(address)) await page.locator(`#${field}`).fill(value);
}

export async function fillCart(page, sku) {
  await addToCart(page, sku);
  await fillAddress(page);
}

async function confirmedOrder(page) {
  await see(confirmation(page));
  return page.getByTestId("order-number").textContent();
}

// Asserts that the confirmed order is the only new one, and that the page lists
// it. The page loads its orders last, so no request is open after that.
export async function assertOneNewOrder(page, name, before) {
  const id = await confirmedOrder(page);
  await see(page.locator(`#orders [title="${id}"]`));
  const now = await orderIds(name);
  assert.deepEqual(now.filter((known) => !before.includes(known)), [id]);
  return order(name, id);
}

// Calls `handle` with the route of each checkout. Returns the ETags of the carts that were sent.
export async function onCheckout(page, handle) {
  const tags = [];
  await page.route(`**${CHECKOUT}`, async (route) => {
    tags.push(route.request().headers()["if-match"]);
    await handle(route, tags.length);
  });
  return tags;
}

// Holds each checkout until `release` is called.
export async function holdCheckout(page) {
  const arrived = gate();
  const held = gate();
  const tags = await onCheckout(page, async (route) => {
    arrived.release();
    await held.opened;
    await route.continue();
  });
  return { tags, arrived: arrived.opened, release: held.release };
}

// The server gets the first checkout, and its response is lost.
export async function loseFirstResponse(page) {
  return onCheckout(page, async (route, nth) => {
    if (nth > 1) return route.continue();
    const response = await route.fetch();
    assert.equal(response.status(), 201);
    await route.abort("connectionreset");
  });
}
