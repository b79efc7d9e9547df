// The confirmation of an order, and the list of the shopper's orders.

import { el, find } from "./dom.js";
import { money, time, words } from "./words.js";

const NEWEST = 10;

// The end of the id: ids begin with the time, so those of neighbours look alike.
const shortNumber = ({ id }) => `#${id.slice(-8)}`;

// `act(order, "pay" | "cancel")` is called by the buttons.
export function showConfirmation(order, act) {
  const box = find("confirmation");
  const title = el("h3", { tabindex: -1 }, words.thanks);
  box.replaceChildren(
    title,
    ...(order.replayed ? [el("p", {}, words.replayed)] : []),
    el("p", {}, `${words.orderNumber}: `, el("strong", { class: "order-number", "data-testid": "order-number" }, order.id)),
    el("p", {}, `${words.total}: `, el("strong", {}, money(order.total))),
    statusOf(order),
    ...buttonsFor(order, act),
  );
  box.dataset.order = order.id;
  box.hidden = false;
  return title;
}

// Returns whether the visible confirmation is that of the order.
export function isConfirmed(order) {
  const box = find("confirmation");
  return !box.hidden && box.dataset.order === order.id;
}

export function hideConfirmation() {
  find("confirmation").hidden = true;
}

export function showOrders(orders, nameOf, act) {
  find("orders-empty").hidden = orders.length > 0;
  const items = orders.slice(0, NEWEST).map((order) => el("li", { class: "order" },
    el("p", { class: "order-head" },
      el("strong", { title: order.id }, shortNumber(order)), " ",
      el("time", { datetime: order.created_at }, time(order.created_at))),
    el("p", { class: "order-lines" }, linesOf(order, nameOf)),
    el("p", { class: "order-total" }, el("strong", {}, money(order.total))),
    statusOf(order),
    ...buttonsFor(order, act)));
  find("orders").replaceChildren(...items);
}

function linesOf(order, nameOf) {
  return order.lines.map(({ sku, quantity }) => `${quantity} \u00d7 ${nameOf(sku)}`).join(", ");
}

function statusOf(order) {
  return el("p", { class: "status", "data-status": order.status }, words.statuses[order.status] ?? order.status);
}

function buttonsFor(order, act) {
  if (order.status !== "pending-payment") return [];
  const number = shortNumber(order);
  const button = (what, style) => el("button", {
    type: "button",
    class: style,
    "aria-label": `${words[what]} ${number}`,
    onclick: () => act(order, what),
  }, words[what]);
  return [el("p", { class: "order-buttons" }, button("pay", "primary"), button("cancel", "quiet"))];
}
