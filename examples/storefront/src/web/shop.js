// The shop: the state of the page, and the actions of the shopper.

import { call, signIn } from "./api.js";
import * as attempt from "./attempt.js";
import { focusLine, showCart } from "./cart.js";
import { fillAddress, setBusy, showForm, showServerErrors, startCheckout, submit } from "./checkout.js";
import { announce, el, find, setText } from "./dom.js";
import { canRetry, explain, explainCart, explainCheckout } from "./failures.js";
import { hideMessage, showMessage } from "./message.js";
import { hideConfirmation, isConfirmed, showConfirmation, showOrders } from "./orders.js";
import { available, showProducts } from "./products.js";
import { money, translatePage, words } from "./words.js";

const API = "/api/marketplace";
const POLL_MS = 3000;
const EMPTY_CART = { version: null, items: [], total: null, changed: false };

let user = null; // the token of the shopper
let products = new Map(); // by sku
let cart = EMPTY_CART;
let buying = false;
let changesWaiting = 0;

const nameOf = (sku) => products.get(sku)?.name ?? cart.items.find((item) => item.sku === sku)?.name ?? sku;
const quantityInCart = (sku) => cart.items.find((item) => item.sku === sku)?.quantity ?? 0;

// Requests about the cart run one after the other: two quick clicks keep their
// order, and a change of the shopper waits for the requests before it.
let last = Promise.resolve();
function inOrder(work) {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}

// --- Products ---

let loadingProducts = false;
async function refreshProducts() {
  if (loadingProducts) return;
  loadingProducts = true;
  try {
    const list = await call("GET", `${API}/products?limit=100`);
    products = new Map(list.map((product) => [product.sku, product]));
    showProducts(list, addToCart);
    setProductsNote(list.length === 0 ? words.noProducts : "");
  } catch {
    setProductsNote(words.notLive);
  } finally {
    loadingProducts = false;
  }
}

function setProductsNote(text) {
  const note = find("products-note");
  setText(note, text);
  note.classList.toggle("visually-hidden", text === "");
}

// Polls only while the page is visible.
async function poll() {
  if (document.visibilityState === "visible") {
    await refreshProducts();
    if (cartIsStale()) await inOrder(loadCart).catch(() => {});
  }
  setTimeout(poll, POLL_MS);
}

// Returns whether a product of the cart has changed since the cart was loaded.
function cartIsStale() {
  return cart.items.some((item) => {
    const product = products.get(item.sku);
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
}

function setCart(newCart) {
  cart = newCart;
  // Only the last change shows the cart. An earlier one would reset a quantity
  // that the shopper has changed since.
  if (changesWaiting > 0) return;
  showCart(cart, { setQuantity, acceptPrice, take, remove });
  // After an unknown outcome the cart may be empty because it was bought, and
  // the form is needed for the retry.
  showForm(cart.items.length > 0 || attempt.open(user) !== null);
}

function addToCart(sku, quantity) {
  return changeCart(() => putItem(sku, quantityInCart(sku) + quantity), () => announceLine(sku));
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
  try {
    const newCart = await inOrder(send).finally(() => { changesWaiting -= 1; });
    // The cart has another version now: an attempt that is still on its way buys nothing.
    attempt.finish(user);
    hideConfirmation();
    setCart(newCart);
    then();
  } catch (problem) {
    const { current } = problem.details ?? {};
    const texts = current ? [...explainCart(cart, current), words.changeAgain] : explain(problem);
    setCart(current ?? cart); // resets the shown quantity
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
  if (buying) return;
  setBuying(true);
  hideMessage();
  hideConfirmation();
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
  showConfirmation(order, act).focus();
}

function notBought(problem) {
  if ([400, 409, 410, 412, 422].includes(problem.status)) attempt.finish(user);
  setBuying(false);
  showServerErrors(problem.details.errors ?? []);
  const { current } = problem.details;
  const texts = current ? [...explainCart(cart, current), words.buyAgain] : explainCheckout(problem, nameOf);
  if (current) setCart(current);
  const retry = canRetry(problem) ? submit : null;
  showMessage(texts, { retry, wait: problem.retryAfter });
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

// --- Orders ---

async function loadOrders() {
  showOrders(await call("GET", `${API}/orders`), nameOf, act);
}

// Pays or cancels an order.
async function act(order, what) {
  try {
    const body = what === "cancel" ? {} : undefined;
    const now = await call("POST", `${API}/orders/${order.id}/${what}`, { body });
    announce(words.statuses[now.status]);
    // The pressed button is removed, so the focus needs a new place.
    const title = isConfirmed(now) ? showConfirmation(now, act) : find("orders-title");
    title.focus();
  } catch (problem) {
    showMessage(explain(problem));
  }
  await refreshAll();
}

// Loads everything that the page shows. A part that cannot be loaded stays as it
// is until the next time.
async function refreshAll() {
  await Promise.allSettled([refreshProducts(), inOrder(loadCart), inOrder(loadOrders)]);
}

// --- Users ---

async function loadUsers() {
  const users = await call("GET", "/api/demo/users");
  const shoppers = users.filter(({ admin }) => !admin);
  const select = find("shop-as");
  select.replaceChildren(...shoppers.map(({ name, token }) => el("option", { value: token }, name)));
  const known = sessionStorage.getItem("barro.user");
  if (shoppers.some(({ token }) => token === known)) select.value = known;
  select.addEventListener("change", () => shopAs(select.value));
  await shopAs(select.value);
}

async function shopAs(token) {
  hideMessage();
  hideConfirmation();
  sessionStorage.setItem("barro.user", token);
  await inOrder(() => {
    user = token;
    signIn(token);
  });
  await refreshAll();
  offerOpenAttempt();
}

// --- Start ---

async function start() {
  translatePage();
  setText(find("cart-link"), words.cartLink(0));
  startCheckout({ onBuy: buy });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refreshProducts();
  });
  await refreshProducts();
  poll();
  await loadUsers().catch((problem) => showMessage(explain(problem)));
}

start();
