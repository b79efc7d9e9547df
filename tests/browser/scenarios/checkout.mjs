// Checkouts that succeed, and checkouts that the shop refuses.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import {
  ADDRESS, CHECKOUT, assertOneNewOrder, buyButton, cartLine, confirmation, fillCart, holdCheckout, message,
  remedy, retryButton,
} from "../shopper.mjs";
import { addStock, open, orderIds, product, screenshot, see, setAvailable, setPrice } from "../support.mjs";

scenario("two shoppers want the last piece, and the loser buys the next one", async () => {
  await setAvailable("rug", 1);
  const names = ["Ana", "Luis"];
  const pages = await Promise.all(names.map((as) => open("/", { as, mayFail: [CHECKOUT] })));
  const before = await Promise.all(names.map(orderIds));
  await Promise.all(pages.map((page) => fillCart(page, "rug")));
  await screenshot(pages[0], "shop");

  // Both requests are released at the same moment.
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
  assert.match(text, /Another shopper bought the last one: Wool rug from Teotitlán is sold out\./);
  assert.match(text, /Nothing was ordered\./);
  assert.ok(await message(page).evaluate((box) => box === document.activeElement), "the message has the focus");
  // A retry would fail again, so it is not offered.
  assert.equal(await retryButton(page).count(), 0);
  await see(remedy(page, "rug").getByText("Remove Wool rug from Teotitlán"));
  await see(cartLine(page, "rug").getByText("Sold out. Please remove it."));
  await see(page.getByTestId("stock-rug").getByText("Sold out"));
  assert.equal(await page.locator("#city").inputValue(), ADDRESS.city);
  await screenshot(page, "failure");

  await addStock("rug", 1);
  await buyButton(page).click();
  const bought = await assertOneNewOrder(page, names[loser], before[loser]);
  assert.deepEqual(bought.lines.map(({ sku, quantity }) => [sku, quantity]), [["rug", 1]]);
  assert.equal((await product("rug")).stock, 0);
  await see(message(page), "hidden");
});

scenario("a double click and Enter buy once", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana" });

  const presses = [
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
    // Enter submits the form, even if the browser does not disable it.
    () => page.locator("#checkout").evaluate((form) => {
      form.requestSubmit();
      form.requestSubmit();
    }),
  ];
  for (const [i, press] of presses.entries()) {
    const before = await orderIds("Ana");
    await fillCart(page, "basket");
    const { tags, arrived, release } = await holdCheckout(page);
    await press();
    await arrived;
    await see(buyButton(page).getByText("Processing...", { exact: true }));
    assert.ok(await buyButton(page).isDisabled());
    assert.equal(await buyButton(page).getAttribute("aria-busy"), "true");
    if (i === 0) await screenshot(page, "processing");
    release();
    await assertOneNewOrder(page, "Ana", before);
    assert.equal(tags.length, 1, "checkouts sent");
    await page.unroute(`**${CHECKOUT}`);
    if (i === 0) await screenshot(page, "confirmation");
  }
  const { stock, reserved } = await product("basket");
  assert.equal(stock - reserved, 20 - presses.length);
  const numbers = await page.locator("#orders .order-head h3").allTextContents();
  assert.equal(new Set(numbers).size, numbers.length, `short order numbers are all different: ${numbers}`);
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

  assert.equal(await retryButton(page).count(), 0);
  await remedy(page, "clay-pot").click();
  await see(page.getByTestId("cart-total").getByText("MX$480.00"));
  await see(page.getByTestId("accept-price-clay-pot"), "detached");
  await see(message(page), "hidden");
  await buyButton(page).click();
  const bought = await assertOneNewOrder(page, "Luis", before);
  assert.equal(bought.total.minor, 48_000);
  await see(confirmation(page).getByText("MX$480.00", { exact: true }));
});
