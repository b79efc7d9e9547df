// The payment of an order: that it succeeds, fails, comes later, or too late.

import assert from "node:assert/strict";

import { scenario } from "../scenario.mjs";
import { assertOneNewOrder, buyButton, confirmation, fillCart } from "../shopper.mjs";
import {
  eventually, onServer, open, order, orderIds, product, screenshot, see, setAvailable,
} from "../support.mjs";

const PAYMENT_SECONDS = 6;

const listed = (page, { id }) => page.getByTestId(`order-${id}`);
const button = (where, what) => where.getByTestId(`${what}-order`);
const hasFocus = (locator) => locator.evaluate((node) => node === document.activeElement);
const payPath = ({ id }) => `/api/marketplace/orders/${id}/pay`;

async function buy(page, name, sku) {
  const before = await orderIds(name);
  await fillCart(page, sku);
  await buyButton(page).click();
  return assertOneNewOrder(page, name, before);
}

async function secondsLeft(where) {
  const text = await where.getByRole("timer").textContent();
  assert.match(text, /^\d\d:\d\d$/);
  const [minutes, seconds] = text.split(":").map(Number);
  return minutes * 60 + seconds;
}

scenario("a payment fails, and succeeds after a reload", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Ana" });
  const bought = await buy(page, "Ana", "basket");
  const left = await secondsLeft(confirmation(page));
  assert.ok(left > 580 && left <= 600, `${left} s are left`);
  await eventually("the time runs", () => secondsLeft(confirmation(page)), (now) => now < left);

  await button(confirmation(page), "fail").click();
  await see(confirmation(page).getByText("Payment failed", { exact: true }));
  await see(confirmation(page).getByText("The payment failed, and nothing was charged."));
  assert.ok(await hasFocus(confirmation(page).getByRole("heading")));
  await see(listed(page, bought).getByText("Payment failed", { exact: true }));
  await screenshot(page, "payment-failed");

  await page.reload();
  await see(confirmation(page).getByText("Payment failed", { exact: true }));
  assert.ok(await secondsLeft(confirmation(page)) <= left);
  await button(confirmation(page), "pay").click();
  await see(confirmation(page).getByText("Paid", { exact: true }));
  await see(confirmation(page).getByText("Thank you! Your order is paid."));
  await see(listed(page, bought).getByText("Paid", { exact: true }));
  assert.equal(await page.getByRole("timer").filter({ visible: true }).count(), await openOrders("Ana"));
  assert.equal((await order("Ana", bought.id)).status, "paid");
});

// Each has a countdown in the list.
async function openOrders(name) {
  const all = await Promise.all((await orderIds(name)).slice(0, 10).map((id) => order(name, id)));
  return all.filter(({ pay_before }) => pay_before).length;
}

scenario("an order is paid later, from the list", async () => {
  await setAvailable("basket", 20);
  const page = await open("/", { as: "Luis" });
  const bought = await buy(page, "Luis", "basket");
  await button(confirmation(page), "later").click();
  await see(confirmation(page), "hidden");
  assert.ok(await hasFocus(listed(page, bought).getByRole("heading")));
  await page.reload();
  await secondsLeft(listed(page, bought));
  assert.ok(await confirmation(page).isHidden());
  await button(listed(page, bought), "pay").click();
  await see(listed(page, bought).getByText("Paid", { exact: true }));
  assert.equal((await order("Luis", bought.id)).status, "paid");

  const other = await buy(page, "Luis", "basket");
  await button(confirmation(page), "cancel").click();
  await see(confirmation(page).getByText("Your order is cancelled."));
  await see(listed(page, other).getByText("Cancelled", { exact: true }));
  assert.equal(await button(listed(page, other), "pay").count(), 0);
});

scenario("an order expires, and a late payment takes its pieces again or is refused", async () => {
  await onServer(["--payment-seconds", PAYMENT_SECONDS], async () => {
    const page = await open("/", { as: "Ana" });
    const rug = await buy(page, "Ana", "rug");
    assert.equal((await product("rug")).stock, 0);
    await see(confirmation(page).getByText("Your order has expired."));
    await see(confirmation(page).getByText("its pieces went back to the shop"));
    await see(listed(page, rug).getByText("Expired", { exact: true }));
    await see(page.getByTestId("stock-rug").getByText("Only 1 left"));
    await screenshot(page, "expired");

    await page.reload();
    await see(confirmation(page).getByText("Your order has expired."));
    await button(confirmation(page), "pay").click();
    await see(confirmation(page).getByText("Thank you! Your order is paid."));
    await see(page.getByTestId("stock-rug").getByText("Sold out"));
    assert.equal((await order("Ana", rug.id)).status, "paid");
  });
});

scenario("a late payment is refused when the pieces are gone", async () => {
  await onServer(["--payment-seconds", PAYMENT_SECONDS], async () => {
    const mayFail = [];
    const page = await open("/", { as: "Luis", mayFail });
    const bought = await buy(page, "Luis", "rug");
    mayFail.push(payPath(bought));
    await see(listed(page, bought).getByText("Expired", { exact: true }));
    await setAvailable("rug", 0);

    await button(listed(page, bought), "pay").click();
    await see(listed(page, bought).getByText("Wool rug from Teotitlán is sold out."));
    await see(listed(page, bought).getByText("Nothing was charged."));
    assert.ok(await hasFocus(listed(page, bought).locator(".refusal")));
    await see(listed(page, bought).getByText("Expired", { exact: true }));
    await screenshot(page, "late-payment-refused");
    // A second refusal is shown like the first one.
    await button(listed(page, bought), "pay").click();
    await see(button(listed(page, bought), "pay").getByText("Pay MX$5,400.00 now"));
    assert.ok(await hasFocus(listed(page, bought).locator(".refusal")));

    await setAvailable("rug", 1);
    await button(listed(page, bought), "pay").click();
    await see(listed(page, bought).getByText("Paid", { exact: true }));
    assert.equal(await listed(page, bought).getByText("Nothing was charged.").count(), 0);
    assert.equal((await product("rug")).stock, 0);
  });
});
