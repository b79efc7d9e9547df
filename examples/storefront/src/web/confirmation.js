// The order that was just placed, and its payment.

import { el, find } from "./dom.js";
import { money } from "./formats.js";
import { linesOf } from "./orders.js";
import { makePayment } from "./payment.js";
import { words } from "./words.js";

let shown = ""; // the order on the page and its lines, as JSON

// It is built again only if the order has changed: a poll must not take the focus.
export function showConfirmation(order, nameOf, act, onLater) {
  const box = find("confirmation");
  const lines = linesOf(order, nameOf);
  const wanted = JSON.stringify([order, lines]);
  if (wanted === shown && !box.hidden) return;
  shown = wanted;
  const hadFocus = box.contains(document.activeElement);
  box.replaceChildren(
    el("h3", { tabindex: -1 }, titleOf(order)),
    ...(order.replayed ? [el("p", {}, words.replayed)] : []),
    el("p", {}, `${words.orderNumber}: `, el("strong", { class: "order-number", "data-testid": "order-number" }, order.id)),
    el("p", {}, lines),
    el("p", {}, `${words.total}: `, el("strong", {}, money(order.total))),
    ...makePayment(order, act, onLater));
  box.dataset.status = order.expired ? "expired" : order.status;
  box.hidden = false;
  if (hadFocus) focusConfirmation();
}

export function focusConfirmation() {
  const box = find("confirmation");
  (box.querySelector(".refusal") ?? box.querySelector("h3")).focus();
}

export function hideConfirmation() {
  find("confirmation").hidden = true;
}

function titleOf(order) {
  if (order.status === "paid") return words.thanksPaid;
  if (order.status !== "cancelled") return words.thanks;
  return order.expired ? words.orderExpired : words.orderCancelled;
}
