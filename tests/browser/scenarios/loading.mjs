// First loads that are slow or fail.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { cartLine } from "../shopper.mjs";
import { api, eventually, gate, open, screenshot, see, setAvailable } from "../support.mjs";

const USERS = "/api/demo/users";
const PRODUCTS = "/api/marketplace/products";
const CART = "/api/marketplace/cart/items";
const ORDERS = "/api/marketplace/orders";

scenario("a first load that fails is repeated until it succeeds", async () => {
  await setAvailable("basket", 20);
  await api("Ana", "POST", "/cart/items", { body: { sku: "basket", quantity: 3 } });
  const mayFail = [USERS, PRODUCTS, CART, ORDERS];
  for (const path of mayFail) {
    const page = await open("about:blank", { mayFail });
    let attempts = 0;
    await page.route((url) => url.pathname === path, (route) => {
      attempts += 1;
      return attempts <= 2 ? route.abort("connectionrefused") : route.continue();
    });
    await page.goto("/");
    await see(page.getByText("The shop does not answer. Trying again...").first());
    assert.ok(await page.getByText("Your cart is empty.").isHidden());
    if (path === USERS) await screenshot(page, "no-connection");
    await see(cartLine(page, "basket"));
    await see(page.getByTestId("product-basket"));
    await see(page.getByText("The shop does not answer.").first(), "hidden");
    await see(page.locator("#orders-loading"), "hidden");
    assert.ok(attempts > 2, path);
  }
});

scenario("a first load of a product's page that fails is repeated", async () => {
  const page = await open("about:blank", { mayFail: [PRODUCTS] });
  await page.route((url) => url.pathname === PRODUCTS, (route) => route.abort("connectionrefused"), { times: 2 });
  await page.goto("/?product=basket");
  await see(page.getByText("The shop does not answer. Trying again...").first());
  await see(page.getByTestId("product-page").getByRole("heading", { name: "Palm basket" }));
});

scenario("while it loads, the page does not say that the cart is empty", async () => {
  const page = await open("about:blank");
  const held = gate();
  await page.route((url) => [PRODUCTS, CART, ORDERS].includes(url.pathname), async (route) => {
    await held.opened;
    await route.continue();
  });
  await page.goto("/");
  await see(page.getByTestId("cart-loading"));
  assert.equal(await page.locator(".product.skeleton").count(), 6);
  for (const text of ["Your cart is empty.", "You have no orders yet."]) {
    assert.ok(await page.getByText(text).isHidden(), text);
  }
  await screenshot(page, "loading");
  held.release();
  await see(page.getByText("Your cart is empty."));
  await see(page.getByTestId("product-basket"));
  assert.equal(await page.locator(".product.skeleton").count(), 0);
});

// The sum of all shifts; up to 0.1 is good: https://web.dev/articles/cls
scenario("on a phone, nothing moves while the page loads", async () => {
  const phone = { viewport: { width: 412, height: 823 }, isMobile: true, hasTouch: true };
  const page = await open("about:blank", phone);
  await page.addInitScript(() => {
    window.moved = 0;
    new PerformanceObserver((list) => {
      for (const shift of list.getEntries()) window.moved += shift.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  // The page is painted before its scripts and their answers arrive.
  await page.route((url) => url.pathname.endsWith(".js") || url.pathname.startsWith("/api/"), async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    await route.continue();
  });
  await page.goto("/");
  await see(page.getByTestId("product-basket"));
  await see(page.getByTestId("cart-loading"), "hidden");
  const moved = await page.evaluate(() => window.moved);
  assert.ok(moved < 0.1, `${moved}`);
});

scenario("a piece that is added before the cart is loaded is added to what is in it", async () => {
  await setAvailable("basket", 20);
  await api("Ana", "POST", "/cart/items", { body: { sku: "basket", quantity: 3 } });
  const page = await open("about:blank", { mayFail: [CART] });
  const failed = gate();
  await page.route((url) => url.pathname === CART, async (route) => {
    await route.abort("connectionrefused");
    failed.release();
  }, { times: 1 });
  await page.goto("/");
  await failed.opened;
  await page.getByTestId("add-basket").click();
  const quantity = cartLine(page, "basket").locator("input");
  await eventually("the quantity", () => quantity.inputValue(), (value) => value === "4");
});
