// The shop: the state of the page, and the actions of the shopper.

import { call, signIn } from "./api.js";
import * as attempt from "./attempt.js";
import { pauseAfter, sleep } from "./backoff.js";
import { checkLines, focusLine, showCart, showLoading } from "./cart.js";
import { showAdded, showBar } from "./cart_bar.js";
import { loadProducts, productOf, startCatalogue } from "./catalogue.js";
import { fillAddress, setBusy, showForm, showServerErrors, startCheckout, submit } from "./checkout.js";
import { announce, el, find, setText } from "./dom.js";
import { canRetry, explain, explainCart, explainCheckout } from "./failures.js";
import { money } from "./formats.js";
import { hideMessage, keepRemedies, showMessage } from "./message.js";
import {
  closeConfirmation, confirm, forgetOrders, loadOrders, ordersAreStale, showOrdersLoading, startOrders,
} from "./my_orders.js";
import { inOrder } from "./queue.js";
import { startSettings } from "./settings.js";
import { available } from "./stock.js";
import { translatePage, words } from "./words.js";

const API = "/api/marketplace";
const POLL_MS = 3000;
const EXPIRY_POLL_MS = 1000; // while an order expires
const MAX_PAUSE_MS = 15_000;
const EMPTY_CART = { version: null, items: [], total: null, changed: false };

let user = null; // the token of the shopper
let cart = EMPTY_CART; // its version is null while the cart of the server is not known
let buying = false;
let changesWaiting = 0;
let mayOffer = true; // whether an open attempt is offered when the cart is loaded

const nameOf = (sku) => productOf(sku)?.name ?? cart.items.find((item) => item.sku === sku)?.name ?? sku;
const quantityInCart = (sku) => cart.items.find((item) => item.sku === sku)?.quantity ?? 0;

// --- What the page shows, and the server ---

// Loads what is not loaded yet or may be out of date. Fails if a part of it fails.
async function refresh() {
  const parts = await Promise.allSettled([loadProducts(), user ? null : loadUsers()]);
  if (user && cartIsStale()) parts.push(...await Promise.allSettled([inOrder(loadCart)]));
  if (user && ordersAreStale()) parts.push(...await Promise.allSettled([inOrder(loadOrders)]));
  const failed = parts.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

// Runs as long as the page, and asks only while it is visible. After failures it
// asks less often.
async function keepFresh() {
  let failures = 0;
  for (;;) {
    if (document.visibilityState === "visible") {
      failures = await refresh().then(() => 0, () => failures + 1);
      if (failures > 0) showWaiting();
    }
    const pause = ordersAreStale() ? EXPIRY_POLL_MS : POLL_MS;
    await sleep(failures > 0 ? pauseAfter(failures, MAX_PAUSE_MS) : pause);
  }
}

function showWaiting() {
  if (cart.version === null) showLoading(words.tryingAgain);
  showOrdersLoading(words.tryingAgain);
}

// After an action. A part that cannot be loaded stays as it is until the next time.
async function refreshAll() {
  await Promise.allSettled([loadProducts(), inOrder(loadCart), inOrder(loadOrders)]);
}

// Returns whether the cart is not known, or one of its products has changed since.
function cartIsStale() {
  return cart.version === null || cart.items.some((item) => {
    const product = productOf(item.sku);
    if (!product) return false;
    return available(product) !== item.available || product.price.minor !== item.current_price?.minor;
  });
}

// --- Cart ---

// The header that names the cart that the page shows: the server changes or buys
// that one, or none.
const tagOf = ({ version }) => (version === null ? null : `"${version}"`);

function ifShown(tag) {
  return tag === null ? {} : { "If-Match": tag };
}

async function loadCart() {
  setCart(await call("GET", `${API}/cart/items`));
  if (mayOffer) offerOpenAttempt();
  mayOffer = false;
}

function setCart(newCart) {
  cart = newCart;
  // Only the last change shows the cart. An earlier one would reset a quantity
  // that the shopper has changed since.
  if (changesWaiting > 0) return;
  showBar(cart);
  showCart(cart, { setQuantity, acceptPrice, take, remove });
  keepRemedies((sku) => cart.items.some((item) => item.sku === sku && (item.short || item.price_changed)));
  // After an unknown outcome the cart may be empty because it was bought, and
  // the form is needed for the retry.
  showForm(cart.items.length > 0 || attempt.open(user) !== null);
}

function addToCart(sku, quantity) {
  const added = () => {
    announceLine(sku);
    showAdded(words.added(nameOf(sku), quantity));
  };
  return changeCart(() => putItem(sku, quantityInCart(sku) + quantity), added);
}

function setQuantity(sku, quantity) {
  return changeCart(() => putItem(sku, quantity), () => announceLine(sku));
}

function take({ sku, available: rest }) {
  return changeCart(() => putItem(sku, rest), () => announceLine(sku));
}

function acceptPrice({ sku, quantity }) {
  return changeCart(() => putItem(sku, quantity), () => focusLine(sku));
}

function remove({ sku, name }) {
  const path = `${API}/cart/items/${encodeURIComponent(sku)}`;
  return changeCart(() => call("DELETE", path, { headers: ifShown(tagOf(cart)) }), () => announce(words.cartRemoved(name)));
}

async function putItem(sku, quantity) {
  const before = cart.items.find((item) => item.sku === sku);
  const headers = ifShown(tagOf(cart));
  cart = await call("POST", `${API}/cart/items`, { headers, body: { sku, quantity } });
  announcePrice(before, cart.items.find((item) => item.sku === sku));
  return cart;
}

async function changeCart(send, then) {
  changesWaiting += 1;
  // What is put into the cart is added to what is in it.
  const known = async () => {
    if (cart.version === null) cart = await call("GET", `${API}/cart/items`);
    return send();
  };
  try {
    const newCart = await inOrder(known).finally(() => { changesWaiting -= 1; });
    // The cart has another version now: an attempt that is still on its way buys nothing.
    attempt.finish(user);
    closeConfirmation();
    setCart(newCart);
    then();
  } catch (problem) {
    const { current } = problem.details ?? {};
    const texts = current ? [...explainCart(cart, current), words.changeAgain] : explain(problem);
    if (current ?? cart.version) setCart(current ?? cart); // resets the shown quantity
    showMessage(texts);
  }
}

function announceLine(sku) {
  announce(words.cartNow(nameOf(sku), quantityInCart(sku), cart.total ? money(cart.total) : ""));
}

// Each change of a quantity takes the current price. Shows a message if the
// cart did not show that price before.
function announcePrice(before, after) {
  if (!before || !after) return;
  const seen = before.current_price ?? before.price;
  if (seen.minor !== after.price.minor) showMessage([words.priceTaken(after.name, money(after.price))]);
}

// --- Checkout ---

async function buy(address) {
  // The button is disabled as well, but the Enter key submits all the same.
  if (buying || !checkLines()) return;
  setBuying(true);
  hideMessage();
  closeConfirmation();
  try {
    bought(await inOrder(() => sendCheckout(address)));
  } catch (problem) {
    notBought(problem);
  }
  await refreshAll();
}

function sendCheckout(address) {
  const headers = ifShown(attempt.begin(user, address, tagOf(cart)));
  return call("POST", `${API}/checkout`, { headers, body: { shipping_address: address } });
}

function bought(order) {
  attempt.finish(user);
  setBuying(false);
  setCart(EMPTY_CART);
  confirm(order);
}

function notBought(problem) {
  if ([400, 409, 410, 412, 422].includes(problem.status)) attempt.finish(user);
  setBuying(false);
  showServerErrors(problem.details.errors ?? []);
  const { current } = problem.details;
  const texts = current ? [...explainCart(cart, current), words.buyAgain] : explainCheckout(problem, nameOf);
  if (current) setCart(current);
  const retry = canRetry(problem) ? submit : null;
  showMessage(texts, { remedies: remediesOf(problem), retry, wait: problem.retryAfter });
}

// The buttons for what the shopper has to decide about the cart.
function remediesOf({ code, details }) {
  if (code === "price-changed") {
    const { sku } = details;
    const run = () => acceptPrice({ sku, quantity: quantityInCart(sku) });
    return [{ sku, text: words.acceptPrice, run }];
  }
  if (code !== "insufficient-stock") return [];
  return (details.short ?? []).map(({ sku, available: rest }) => {
    const name = nameOf(sku);
    if (rest > 0) return { sku, text: words.takeOf(rest, name), run: () => take({ sku, available: rest }) };
    return { sku, text: words.removeName(name), run: () => remove({ sku, name }) };
  });
}

function setBuying(now) {
  buying = now;
  setBusy(now);
  // Cart and shopper cannot be changed during a checkout.
  find("cart-items").inert = now;
  find("shop-as").disabled = now;
}

// Offers a retry after a reload during a checkout. The stored version makes it safe.
function offerOpenAttempt() {
  const pending = attempt.open(user);
  if (!pending) return;
  fillAddress(pending.address);
  showMessage([words.interrupted, words.retryIsSafe], { retry: submit });
}

// --- Users ---

async function loadUsers() {
  const users = await call("GET", "/api/demo/users");
  if (user) return;
  const shoppers = users.filter(({ admin }) => !admin);
  const select = find("shop-as");
  select.replaceChildren(...shoppers.map(({ name, token }) => el("option", { value: token }, name)));
  const known = sessionStorage.getItem("barro.user");
  if (shoppers.some(({ token }) => token === known)) select.value = known;
  setUser(select.value);
}

function setUser(token) {
  user = token;
  signIn(token);
  sessionStorage.setItem("barro.user", token);
}

async function shopAs(token) {
  hideMessage();
  await inOrder(() => {
    setUser(token);
    cart = EMPTY_CART;
    mayOffer = true;
    showBar(cart);
    showLoading(words.loading);
    showForm(false);
    forgetOrders();
  });
  await refreshAll();
}

// --- Start ---

function start() {
  translatePage();
  startSettings();
  setText(find("cart-link"), words.cartLink(0));
  startCatalogue(addToCart);
  startCheckout({ onBuy: buy });
  startOrders({ names: nameOf, changed: refreshAll });
  find("shop-as").addEventListener("change", ({ target }) => shopAs(target.value));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refresh().catch(() => {});
  });
  keepFresh();
}

start();
