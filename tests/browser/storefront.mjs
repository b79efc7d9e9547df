// The storefront in a real browser: what a shopper sees when a checkout is
// raced, lost, doubled or interrupted. Run by .ci/browser.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import {
  addStock, api, closeAll, consoleErrors, emptyCart, eventually, gate, open, order, orderIds, product, screenshot, see,
  setAvailable, setPrice, start, stop,
} from "./support.mjs";

const CHECKOUT = "/api/marketplace/checkout";

const ADDRESS = {
  name: "Ana López",
  street: "Calle Macedonio Alcalá 12",
  city: "Oaxaca",
  postal_code: "68000",
};

before(start, { timeout: 120_000 });
after(stop, { timeout: 60_000 });
beforeEach(() => Promise.all([emptyCart("Ana"), emptyCart("Luis")]));
afterEach(closeAll);

const scenario = (name, run) => test(name, { timeout: 60_000 }, run);

// --- What a shopper does and sees ---

const buyButton = (page) => page.getByTestId("buy");
const retryButton = (page) => page.getByTestId("retry");
const message = (page) => page.getByTestId("message");
const confirmation = (page) => page.getByTestId("order-confirmation");
const cartLine = (page, sku) => page.getByTestId(`cart-item-${sku}`);

async function addToCart(page, sku) {
  await page.getByTestId(`add-${sku}`).click();
  await see(cartLine(page, sku));
}

async function fillAddress(page, address = ADDRESS) {
  for (const [field, value] of Object.entries(address)) await page.locator(`#${field}`).fill(value);
}

async function fillCart(page, sku) {
  await addToCart(page, sku);
  await fillAddress(page);
}

// The number of the order that the page confirms.
async function confirmedOrder(page) {
  await see(confirmation(page));
  return page.getByTestId("order-number").textContent();
}

// The confirmed order is the only new one, and the page lists it. The page
// loads its orders last, so nothing is on its way any more.
async function assertOneNewOrder(page, who, before) {
  const id = await confirmedOrder(page);
  await see(page.locator(`#orders [title="${id}"]`));
  const now = await orderIds(who);
  assert.deepEqual(now.filter((known) => !before.includes(known)), [id]);
  return order(who, id);
}

// How many points the dashboard's line of orders has.
async function chartPoints(page) {
  const path = await page.getByTestId("chart-orders").locator("path.line-a").getAttribute("d");
  return (path.match(/[ML]/g) ?? []).length;
}

// Calls `handle` with the route of each checkout. Returns the keys that were sent.
async function onCheckout(page, handle) {
  const keys = [];
  await page.route(`**${CHECKOUT}`, async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    await handle(route, keys.length);
  });
  return keys;
}

// Holds each checkout back until `release` is called.
async function holdCheckout(page) {
  const arrived = gate();
  const held = gate();
  const keys = await onCheckout(page, async (route) => {
    arrived.release();
    await held.opened;
    await route.continue();
  });
  return { keys, arrived: arrived.opened, release: held.release };
}

// The server gets the first checkout, the page never gets the answer.
async function loseFirstAnswer(page) {
  return onCheckout(page, async (route, nth) => {
    if (nth > 1) return route.continue();
    const response = await route.fetch();
    assert.equal(response.status(), 201);
    await route.abort("connectionreset");
  });
}

// --- The scenarios ---

scenario("two shoppers race for the last one, and the loser buys the next one", async () => {
  await setAvailable("rug", 1);
  const names = ["Ana", "Luis"];
  const pages = await Promise.all(names.map((as) => open("/", { as, mayFail: [CHECKOUT] })));
  const before = await Promise.all(names.map(orderIds));
  await Promise.all(pages.map((page) => fillCart(page, "rug")));
  await screenshot(pages[0], "shop");

  // Both requests are let go at the same moment.
  const holds = await Promise.all(pages.map(holdCheckout));
  await Promise.all(pages.map((page) => buyButton(page).click()));
  await Promise.all(holds.map(({ arrived }) => arrived));
  for (const { release } of holds) release();

  await Promise.all(pages.map((page) => see(confirmation(page).or(message(page)).filter({ visible: true }))));
  const won = await Promise.all(pages.map((page) => confirmation(page).isVisible()));
  assert.deepEqual(won.toSorted(), [false, true]);
  const [winner, loser] = won[0] ? [0, 1] : [1, 0];
  await assertOneNewOrder(pages[winner], names[winner], before[winner]);
  assert.deepEqual(await orderIds(names[loser]), before[loser]);
  assert.equal((await product("rug")).stock, 0);

  const page = pages[loser];
  const text = await message(page).textContent();
  assert.match(text, /Somebody else bought the last one: Wool rug from Teotitlán is sold out\./);
  assert.match(text, /Nothing was ordered\./);
  assert.ok(await message(page).evaluate((box) => box === document.activeElement), "the message has the focus");
  await see(retryButton(page));
  await see(cartLine(page, "rug").getByText("Sold out. Please remove it."));
  await see(page.getByTestId("stock-rug").getByText("Sold out"));
  assert.equal(await page.locator("#city").inputValue(), ADDRESS.city);
  await screenshot(page, "failure");

  await addStock("rug", 1);
  await retryButton(page).click();
  const bought = await assertOneNewOrder(page, names[loser], before[loser]);
  assert.deepEqual(bought.lines.map(({ sku, quantity }) => [sku, quantity]), [["rug", 1]]);
  assert.equal((await product("rug")).stock, 0);
  await see(message(page), "hidden");
});

scenario("a double click and Enter buy once", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana" });

  const impatient = [
    async () => {
      await buyButton(page).dblclick();
      await page.keyboard.press("Enter");
    },
    async () => {
      await page.locator("#city").focus();
      await page.keyboard.press("Enter");
      await page.keyboard.press("Enter");
      const { x, y, width, height } = await buyButton(page).boundingBox();
      await page.mouse.dblclick(x + width / 2, y + height / 2);
    },
    // What Enter does, even where the browser lets it through.
    () => page.locator("#checkout").evaluate((form) => {
      form.requestSubmit();
      form.requestSubmit();
    }),
  ];
  for (const [i, press] of impatient.entries()) {
    const before = await orderIds("Ana");
    await fillCart(page, "basket");
    const { keys, arrived, release } = await holdCheckout(page);
    await press();
    await arrived;
    await see(buyButton(page).getByText("Processing...", { exact: true }));
    assert.ok(await buyButton(page).isDisabled());
    assert.equal(await buyButton(page).getAttribute("aria-busy"), "true");
    if (i === 0) await screenshot(page, "processing");
    release();
    await assertOneNewOrder(page, "Ana", before);
    assert.equal(keys.length, 1, "checkouts sent");
    await page.unroute(`**${CHECKOUT}`);
    if (i === 0) await screenshot(page, "confirmation");
  }
  const { stock, reserved } = await product("basket");
  assert.equal(stock - reserved, 20 - impatient.length);
  const numbers = await page.locator("#orders .order-head strong").allTextContents();
  assert.equal(new Set(numbers).size, numbers.length, `short order numbers are all different: ${numbers}`);
});

scenario("an answer is lost, and a retry does not buy twice", async () => {
  await setAvailable("mezcal-cup", 20);
  const page = await open("/", { as: "Ana", mayFail: [CHECKOUT] });
  const before = await orderIds("Ana");
  await fillCart(page, "mezcal-cup");
  const keys = await loseFirstAnswer(page);
  await buyButton(page).click();

  await see(message(page).getByText("We do not know yet if your order went through."));
  await see(message(page).getByText("Press Retry. You will not buy twice."));
  assert.ok(await confirmation(page).isHidden());
  await screenshot(page, "lost-answer");
  await retryButton(page).click();

  await assertOneNewOrder(page, "Ana", before);
  await see(confirmation(page).getByText("Your first try had gone through. You bought only once."));
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  const { stock, reserved } = await product("mezcal-cup");
  assert.equal(stock - reserved, 19);

  // The next purchase is a new one: it has a key of its own.
  const first = await orderIds("Ana");
  await fillCart(page, "mezcal-cup");
  await buyButton(page).click();
  await assertOneNewOrder(page, "Ana", first);
  assert.notEqual(keys[2], keys[0]);
});

scenario("a price changes while the cart is open", async () => {
  await setAvailable("clay-pot", 20);
  await setPrice("clay-pot", 45_000);
  const page = await open("/", { as: "Luis", mayFail: [CHECKOUT] });
  const before = await orderIds("Luis");
  await fillCart(page, "clay-pot");
  assert.equal(await page.getByTestId("cart-total").textContent(), "MX$450.00");

  await setPrice("clay-pot", 48_000);
  const refused = page.waitForResponse((response) => response.url().endsWith(CHECKOUT));
  await buyButton(page).click();
  assert.equal((await refused).status(), 409);
  await see(message(page).getByText("The price of Clay pot has changed from MX$450.00 to MX$480.00."));
  await see(cartLine(page, "clay-pot").getByText("The price has changed."));
  assert.equal(await cartLine(page, "clay-pot").locator(".cart-sum").textContent(), "MX$480.00");
  assert.equal(await page.getByTestId("cart-total").textContent(), "MX$480.00");
  assert.deepEqual(await orderIds("Luis"), before);
  await screenshot(page, "price-changed");

  await page.getByTestId("accept-price-clay-pot").click();
  await see(page.getByTestId("cart-total").getByText("MX$480.00"));
  await see(page.getByTestId("accept-price-clay-pot"), "detached");
  await buyButton(page).click();
  const bought = await assertOneNewOrder(page, "Luis", before);
  assert.equal(bought.total.minor, 48_000);
  await see(confirmation(page).getByText("MX$480.00"));
});

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

scenario("a phone of 360 pixels: nothing sticks out, and buying works", async () => {
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

  await loseFirstAnswer(page);
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
      assert.notEqual(outline, "none", `the focus is to be seen on ${locator}`);
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
  await tabTo(confirmation(page).getByRole("button", { name: /^Pay/ }));
  await page.keyboard.press("Enter");
  await see(confirmation(page).getByText("Paid", { exact: true }));
  assert.equal((await order("Ana", bought.id)).status, "paid");
});

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
  assert.ok(await sold("naive") > 10, "the naive code sells what is not there");
  assert.equal(await sold("optilock"), 10);
  assert.equal(await page.getByTestId("race-optilock").locator("[data-state=refused]").count(), 40);
  await see(page.getByTestId("race-start").getByText("Start the race"));
  await screenshot(page, "dashboard");

  const afterRace = await points();
  await eventually("points after the race", points, (count) => count > afterRace + 1);
  await see(page.getByTestId("connection").getByText("Live"));
});

scenario("a reload in the middle of a checkout, and a retry does not buy twice", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Luis" });
  for (const reachesServer of [true, false]) {
    const before = await orderIds("Luis");
    await fillCart(page, "basket");
    const arrived = gate();
    const keys = await onCheckout(page, async (route, nth) => {
      if (nth > 1) return route.continue();
      if (reachesServer) assert.equal((await route.fetch()).status(), 201);
      // No answer: the page is reloaded before it comes.
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
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
    assert.equal(await confirmation(page).getByText("You bought only once.").count(), reachesServer ? 1 : 0);
    await page.unroute(`**${CHECKOUT}`);
  }
  const { stock, reserved } = await product("basket");
  assert.equal(stock - reserved, 18);
});

scenario("the pages are quiet: no errors, nothing against the security policy", async () => {
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

  // The policy is there, and its violations are noticed.
  const probe = await open("/");
  await probe.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "globalThis.injected = true";
    document.body.append(script);
  });
  await eventually("the violation is told", async () => consoleErrors().join("\n"), (errors) => errors.includes("Content-Security-Policy: script-src"));
  assert.equal(await probe.evaluate(() => globalThis.injected), undefined);
});
