// Quantities that cannot be bought, and large figures.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { CHECKOUT, buyButton, cartLine, fillCart, message, remedy } from "../shopper.mjs";
import { api, eventually, open, screenshot, see, setAvailable } from "../support.mjs";

const WRONG = ["0", "-5", "1.5", ""];
const ERROR = "Please enter a whole number, 1 or more.";

const cartOf = async (name) => (await api(name, "GET", "/cart/items")).answer.items.map(({ sku, quantity }) => [sku, quantity]);

scenario("a quantity that is no whole number of pieces adds nothing", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana" });
  const form = page.getByTestId("product-basket");
  const field = form.getByLabel("Quantity of Palm basket");
  for (const wrong of [...WRONG, "e"]) {
    await field.fill("");
    await field.pressSequentially(wrong);
    await page.getByTestId("add-basket").click();
    await see(form.getByText(ERROR));
    assert.equal(await field.getAttribute("aria-invalid"), "true", wrong);
    assert.ok(await field.evaluate((input) => input === document.activeElement), "the field has the focus");
    await field.fill("7");
    assert.equal(await form.getByText(ERROR).count(), 0);
  }
  assert.deepEqual(await cartOf("Ana"), []);
  await field.fill("2");
  await page.getByTestId("add-basket").click();
  await see(cartLine(page, "basket"));
  assert.deepEqual(await cartOf("Ana"), [["basket", 2]]);
});

scenario("a wrong quantity in the cart stays in its field, and nothing is bought", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Luis" });
  await fillCart(page, "basket");
  const line = cartLine(page, "basket");
  const field = line.locator("input");
  for (const wrong of WRONG) {
    await field.fill(wrong);
    await field.press("Tab");
    await see(line.getByText(ERROR));
    assert.equal(await field.inputValue(), wrong);
  }
  await screenshot(page, "wrong-quantity");
  await buyButton(page).click();
  assert.ok(await field.evaluate((input) => input === document.activeElement), "the field has the focus");
  assert.deepEqual(await cartOf("Luis"), [["basket", 1]]);
  await line.getByRole("button", { name: "One more" }).click();
  await eventually("the cart", () => cartOf("Luis"), ([[, quantity]]) => quantity === 2);
  assert.equal(await field.getAttribute("aria-invalid"), "false");
});

scenario("a cart with more than there is can be corrected in the message", async () => {
  await setAvailable("basket", 20);
  await setAvailable("mezcal-cup", 20);
  const page = await open("/", { as: "Ana", mayFail: [CHECKOUT] });
  await api("Ana", "POST", "/cart/items", { body: { sku: "basket", quantity: 9 } });
  await page.reload();
  await fillCart(page, "mezcal-cup");
  await setAvailable("basket", 4);
  await setAvailable("mezcal-cup", 0);
  await buyButton(page).click();
  await see(message(page).getByText("only 4 left of Palm basket"));
  await screenshot(page, "short-cart");
  await remedy(page, "basket").getByText("Take 4 of Palm basket").click();
  await see(remedy(page, "basket"), "detached");
  assert.ok(await remedy(page, "mezcal-cup").evaluate((node) => node === document.activeElement));
  await remedy(page, "mezcal-cup").click();
  await see(message(page), "hidden");
  assert.ok(await page.locator("#cart-title").evaluate((node) => node === document.activeElement));
  assert.deepEqual(await cartOf("Ana"), [["basket", 4]]);
});

scenario("large figures are grouped, as the language does", async () => {
  await setAvailable("clay-pot", 12_345);
  const english = await open("/", { as: "Ana" });
  await see(english.getByTestId("stock-clay-pot").getByText("12,345 in stock"));
  await english.getByTestId("product-clay-pot").getByLabel("Quantity of Clay pot").fill("1234");
  await english.getByTestId("add-clay-pot").click();
  await see(english.getByText("Cart (1,234)", { exact: true }).first());
  const spanish = await open("/", { as: "Ana", locale: "es-ES" });
  await see(spanish.getByTestId("stock-clay-pot").getByText("12.345 disponibles"));
  const dashboard = await open("/dashboard");
  await see(dashboard.getByTestId("stock-bars").getByText("12,345"));
  await setAvailable("clay-pot", 20);
});
