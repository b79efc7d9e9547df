// The orders of the shopper: loads them, and pays or cancels them.

import { call } from "./api.js";
import { focusConfirmation, hideConfirmation, showConfirmation } from "./confirmation.js";
import { announce, find, setText } from "./dom.js";
import { explainPayment } from "./failures.js";
import { hour } from "./formats.js";
import { focusOrder, showOrders } from "./orders.js";
import { isOverdue } from "./payment.js";
import { inOrder } from "./queue.js";
import { words } from "./words.js";

const PATH = "/api/marketplace/orders";

// The id of the order whose confirmation is shown, which a reload keeps.
const CONFIRMED = "barro.confirmed";

let orders = null; // the newest first; null until they are loaded
let notes = new Map(); // by id: { texts, at }, why and when the last payment was refused
let replayed = null; // the id of an order that an earlier attempt had made
let nameOf;
let onChange;

// `names(sku)` gives the name of a product. `changed` is called after a payment or
// a cancellation, which change the stock.
export function startOrders({ names, changed }) {
  nameOf = names;
  onChange = changed;
}

export async function loadOrders() {
  const before = orders ?? [];
  orders = await call("GET", PATH);
  const expired = orders.some(({ id, expired }) => expired && before.some((old) => old.id === id && !old.expired));
  if (expired) announce(words.orderExpired);
  show();
}

// Another shopper's orders are not known yet.
export function forgetOrders() {
  orders = null;
  notes = new Map();
  closeConfirmation();
  showOrders([], nameOf, act);
  showOrdersLoading(words.loading);
}

export function showOrdersLoading(text) {
  if (orders) return;
  find("orders-empty").hidden = true;
  find("orders-loading").hidden = false;
  setText(find("orders-loading"), text);
}

// Returns whether the server may know more than the page.
export function ordersAreStale() {
  return !orders || orders.some(isOverdue);
}

export function confirm(order) {
  replayed = order.replayed ? order.id : null;
  sessionStorage.setItem(CONFIRMED, order.id);
  replace(order);
  focusConfirmation();
}

export function closeConfirmation() {
  sessionStorage.removeItem(CONFIRMED);
  hideConfirmation();
}

function replace(order) {
  const others = (orders ?? []).filter(({ id }) => id !== order.id);
  orders = [...others, order].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  show();
}

function show() {
  const shown = orders.map((order) => ({ ...order, replayed: order.id === replayed, note: notes.get(order.id) ?? null }));
  showOrders(shown, nameOf, act);
  const confirmed = shown.find(({ id }) => id === sessionStorage.getItem(CONFIRMED));
  if (confirmed) showConfirmation(confirmed, nameOf, act, () => payLater(confirmed));
}

function payLater(order) {
  closeConfirmation();
  announce(order.pay_before ? words.laterUntil(hour(order.pay_before)) : words.later);
  focusOrder(order.id);
}

let acting = false;

// Pays or cancels an order, or lets its payment fail. The order stays in the list
// and in the confirmation, where the pressed button is replaced: the focus needs a
// new place.
async function act(order, what, button) {
  if (acting) return;
  acting = true;
  button.setAttribute("aria-busy", true);
  setText(button, words.processing);
  const inConfirmation = find("confirmation").contains(document.activeElement);
  try {
    const now = await inOrder(() => call("POST", `${PATH}/${order.id}/${what}`, { body: what === "cancel" ? {} : undefined }));
    notes.delete(order.id);
    announce(words.statuses[now.status]);
    replace(now);
  } catch (problem) {
    notes.set(order.id, { texts: explainPayment(problem, nameOf), at: Date.now() });
    show();
  } finally {
    acting = false;
  }
  if (inConfirmation) focusConfirmation();
  else focusOrder(order.id);
  await onChange();
}
