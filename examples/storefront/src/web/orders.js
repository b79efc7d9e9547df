// The list of the shopper's orders.

import { el, find } from "./dom.js";
import { money, number, time } from "./formats.js";
import { makePayment, shortNumber } from "./payment.js";

const NEWEST = 10;

let items = new Map(); // by id: { root, shown }

// An order is built again only if it has changed: a poll must not take the focus.
export function showOrders(orders, nameOf, act) {
  find("orders-loading").hidden = true;
  find("orders-empty").hidden = orders.length > 0;
  const before = items;
  items = new Map(orders.slice(0, NEWEST).map((order) => [order.id, update(before.get(order.id), order, nameOf, act)]));
  const roots = [...items.values()].map(({ root }) => root);
  const list = find("orders");
  if (roots.some((root, i) => root !== list.children[i]) || roots.length !== list.children.length) {
    list.replaceChildren(...roots);
  }
}

export function focusOrder(id) {
  const root = items.get(id)?.root;
  (root?.querySelector(".refusal") ?? root?.querySelector("h3") ?? find("orders-title")).focus();
}

export function linesOf(order, nameOf) {
  return order.lines.map(({ sku, quantity }) => `${number(quantity)} \u00d7 ${nameOf(sku)}`).join(", ");
}

function update(known, order, nameOf, act) {
  const item = known ?? { root: el("li", { class: "order", "data-testid": `order-${order.id}` }) };
  const names = linesOf(order, nameOf);
  const wanted = JSON.stringify([order, names]);
  if (item.shown === wanted) return item;
  item.shown = wanted;
  const hadFocus = item.root.contains(document.activeElement);
  item.root.replaceChildren(
    el("div", { class: "order-head" },
      el("h3", { title: order.id, tabindex: -1 }, shortNumber(order)),
      el("time", { datetime: order.created_at }, time(order.created_at)),
      el("strong", { class: "order-total" }, money(order.total))),
    el("p", { class: "order-lines" }, names),
    ...makePayment(order, act));
  if (hadFocus) item.root.querySelector("h3").focus();
  return item;
}
