// Makes the pictures of the storefront's README, with a server that is built:
//
//     npm ci && SCREENSHOTS=<directory> npm run screenshots
//
// STOREFRONT, CHROMIUM and PAGES are read as by .ci/browser.

import { scenario } from "./scenario.mjs";
import { buyButton, confirmation, fillCart } from "./shopper.mjs";
import { addStock, api, eventually, open, screenshot, see } from "./support.mjs";

if (!process.env.SCREENSHOTS) throw new Error("SCREENSHOTS is not set: the directory for the pictures");

const ORDERS_PER_SECOND = 5;
const SECONDS = 30;

async function openFilled(options) {
  const page = await open("/", { as: "Ana", ...options });
  for (const sku of ["clay-pot", "mezcal-cup"]) await fillCart(page, sku);
  await page.getByRole("button", { name: "One more of Mezcal cup" }).click();
  await see(page.getByText("Cart (3)").first());
  return page;
}

// Without the focus, and from the top of the page.
async function take(page, name, options) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    scrollTo(0, 0);
  });
  await screenshot(page, name, options);
}

for (const colorScheme of ["light", "dark"]) {
  scenario(`the shop, ${colorScheme}`, async () => {
    await take(await openFilled({ colorScheme }), `shop-${colorScheme}`, { fullPage: false });
  });
}

scenario("the shop on a phone", async () => {
  const page = await open("/", {
    as: "Ana", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true,
  });
  await page.getByTestId("add-clay-pot").tap();
  await see(page.getByTestId("cart-bar"));
  await take(page, "phone", { fullPage: false });
});

scenario("the page of a product", async () => {
  const page = await openFilled({ viewport: { width: 1280, height: 760 } });
  await page.getByTestId("open-alebrije").click();
  await see(page.getByTestId("page-stock"));
  await take(page, "product", { fullPage: false });
});

scenario("a checkout, and the time to pay", async () => {
  const page = await openFilled({ viewport: { width: 1280, height: 1000 } });
  await buyButton(page).click();
  await see(confirmation(page).getByRole("timer"));
  await take(page, "checkout", { fullPage: false });
});

// Sells a piece in each turn, so that the charts have something to show.
async function sell(turns) {
  const address = { name: "Luis", street: "Calle 1", city: "Oaxaca", postal_code: "68000", country: "MX" };
  for (let turn = 0; turn < turns; turn += 1) {
    await api("Luis", "POST", "/cart/items", { body: { sku: "mezcal-cup", quantity: 1 } });
    const { answer } = await api("Luis", "POST", "/checkout", { body: { shipping_address: address } });
    await api("Luis", "POST", `/orders/${answer.id}/pay`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 2000 / ORDERS_PER_SECOND));
  }
}

scenario("the dashboard after a race", async () => {
  await addStock("mezcal-cup", ORDERS_PER_SECOND * SECONDS);
  const page = await open("/dashboard");
  await see(page.getByTestId("connection").getByText("Live"));
  await sell(ORDERS_PER_SECOND * SECONDS);
  await page.getByTestId("race-start").click();
  await see(page.getByTestId("race-result").getByText("Optilock:"));
  await eventually("the end of the race", () => page.getByTestId("race-start").textContent(), (text) => text === "Start the race");
  await take(page, "dashboard");
});
