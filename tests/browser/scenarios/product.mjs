// The page of a product, and the choice of theme and language.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { cartLine, fillAddress } from "../shopper.mjs";
import { eventually, open, screenshot, see, setAvailable } from "../support.mjs";

const hasFocus = (locator) => locator.evaluate((node) => node === document.activeElement);
const productPage = (page) => page.getByTestId("product-page");
const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

scenario("a product has a page with its stock and a form", async () => {
  await setAvailable("black-vase", 8);
  const page = await open("/", { as: "Ana" });
  // The picture is part of the link.
  await page.getByTestId("product-black-vase").click({ position: { x: 60, y: 60 } });
  const title = productPage(page).getByRole("heading", { name: "Black clay vase" });
  await see(title);
  assert.ok(await hasFocus(title));
  assert.equal(await page.title(), "Black clay vase · Barro");
  await see(productPage(page).getByText("MX$640.00"));
  await see(page.getByTestId("page-stock").getByText("8 in stock"));
  assert.ok(await page.locator("#product-list").isHidden());
  await screenshot(page, "product");

  await productPage(page).getByLabel("Quantity of Black clay vase").fill("2");
  await page.getByTestId("page-add-black-vase").click();
  await see(cartLine(page, "black-vase"));
  assert.equal(await cartLine(page, "black-vase").locator("input").inputValue(), "2");

  // A link to the cart keeps the view, and a reload as well.
  await setAvailable("black-vase", 3);
  await see(page.getByTestId("page-stock").getByText("Only 3 left"));
  await page.reload();
  await see(title);
  await see(cartLine(page, "black-vase"));
  await page.locator("#cart-link").click();
  assert.ok(await title.isVisible());

  await productPage(page).getByRole("link", { name: "All pieces" }).click();
  await see(page.locator("#product-list"));
  assert.ok(await hasFocus(page.getByTestId("open-black-vase")), "the focus is where it came from");
  assert.equal(await page.title(), "Barro: handicrafts from Oaxaca");
  await page.goBack();
  await see(title);

  // A link to the page is one that can be opened elsewhere.
  const other = await open("/?product=rug");
  await see(productPage(other).getByRole("heading", { name: "Wool rug from Teotitlán" }));
});

scenario("an address of no product says so", async () => {
  for (const sku of ["nothing", "%", ""]) {
    const page = await open(`/?product=${sku}`);
    await see(productPage(page).getByRole("heading", { name: "The shop does not have this piece" }));
    await productPage(page).getByRole("link", { name: "All pieces" }).click();
    await see(page.getByTestId("product-basket"));
  }
});

scenario("theme and language are remembered on both pages", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana", colorScheme: "light" });
  const light = await ground(page);
  await page.getByTestId("theme").selectOption("dark");
  const dark = await eventually("the ground", () => ground(page), (now) => now !== light);
  await page.getByTestId("add-basket").click();
  await see(cartLine(page, "basket"));
  await fillAddress(page);

  await page.getByTestId("language").selectOption("es");
  await see(page.getByRole("heading", { name: "Su carrito" }));
  assert.equal(await page.locator("html").getAttribute("lang"), "es");
  assert.equal(await page.title(), "Barro: artesanías de Oaxaca");
  assert.equal(await ground(page), dark);
  await see(cartLine(page, "basket"));
  assert.equal(await page.locator("#city").inputValue(), "Oaxaca", "what was typed is kept");
  await screenshot(page, "spanish-dark");

  await page.goto("/dashboard");
  await see(page.getByRole("heading", { name: "Tablero" }));
  assert.equal(await ground(page), dark);
  await page.getByTestId("theme").selectOption("system");
  await page.getByTestId("language").selectOption("en");
  await see(page.getByRole("heading", { name: "Dashboard" }));
  assert.equal(await ground(page), light);
});

scenario("on a phone, a bar shows what was added, and leads to the cart", async () => {
  await setAvailable("basket", 20);
  const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
  const page = await open("/", { ...phone, as: "Luis" });
  const bar = page.getByTestId("cart-bar");
  assert.ok(await bar.isHidden());
  await page.getByTestId("add-basket").tap();
  await see(bar.getByText("1 × Palm basket added"));
  await see(bar.getByText("Cart (1)"));
  await see(bar.getByText("MX$320.00"));
  const { y, height } = await bar.boundingBox();
  assert.ok(y + height <= 844 && y > 600, `the bar is at the bottom: ${y}`);
  await bar.getByRole("link").tap();
  const isSeen = () => page.locator("#cart-title").evaluate((node) => {
    const { top } = node.getBoundingClientRect();
    return top >= 0 && top < innerHeight;
  });
  await eventually("the cart is seen", isSeen, (seen) => seen);
});
