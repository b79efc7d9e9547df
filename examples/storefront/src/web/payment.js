// The payment of an order: its state, the time that is left, and the buttons.

import { makeCountdown } from "./countdown.js";
import { el } from "./dom.js";
import { hour, money } from "./formats.js";
import { serverNow } from "./server_time.js";
import { words } from "./words.js";

// The end of the id: ids begin with the time, so those of neighbours look alike.
export const shortNumber = ({ id }) => `#${id.slice(-8)}`;

const isOpen = ({ status }) => status === "pending-payment" || status === "payment-failed";

// Returns whether the order expires any moment: the server has to be asked.
export function isOverdue(order) {
  return isOpen(order) && Boolean(order.pay_before) && Date.parse(order.pay_before) <= serverNow();
}

// Returns the nodes. `act(order, what, button)` is called by the buttons: "pay", "fail",
// "cancel". `onLater` is that of "pay later": only the confirmation has this button,
// and the longer texts.
export function makePayment(order, act, onLater = null) {
  return [
    statusOf(order),
    ...textsOf(order).map((text) => el("p", {}, text)),
    ...timeOf(order, onLater !== null),
    ...buttonsOf(order, act, onLater),
    ...noteOf(order),
  ];
}

function statusOf(order) {
  const state = order.expired ? "expired" : order.status;
  return el("p", { class: "status", "data-status": state }, words.statuses[state] ?? state);
}

function textsOf(order) {
  if (order.expired && order.status === "cancelled") return [words.expiredText];
  return order.status === "payment-failed" ? [words.payFailed] : [];
}

function timeOf(order, long) {
  if (!isOpen(order) || !order.pay_before) return [];
  return [
    el("p", {}, `${words.timeLeft}: `, makeCountdown(order.pay_before)),
    ...(long ? [el("p", { class: "muted" }, words.keptUntil(hour(order.pay_before)))] : []),
  ];
}

function buttonsOf(order, act, onLater) {
  const number = shortNumber(order);
  const button = (what, style, text, onclick) => el("button", {
    type: "button", class: style, "data-testid": `${what}-order`, "aria-label": `${text} ${number}`, onclick,
  }, text);
  const acting = (what, style, text) => button(what, style, text, ({ target }) => act(order, what, target));
  const pay = (text) => acting("pay", "primary", text);
  if (order.expired && order.status === "cancelled") return [group(pay(words.payLate(money(order.total))))];
  if (!isOpen(order)) return [];
  return [
    ...(onLater ? [el("p", { class: "muted" }, words.payText)] : []),
    group(
      pay(words.pay(money(order.total))),
      acting("fail", "plain", words.payFails),
      ...(onLater ? [button("later", "plain", words.payLater, onLater)] : []),
      acting("cancel", "quiet", words.cancel)),
  ];
}

function group(...buttons) {
  return el("p", { class: "order-buttons" }, ...buttons);
}

// Why the last payment was refused. It has the focus then, so it is read.
function noteOf({ note }) {
  if (!note) return [];
  return [el("div", { class: "refusal", tabindex: -1 }, ...note.texts.map((text) => el("p", {}, text)))];
}
