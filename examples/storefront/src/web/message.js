// The message above the cart that explains a failure, with what can be done about it.

import { el, find, setText } from "./dom.js";
import { words } from "./words.js";

let countdown;

// `remedies` is [{ sku, text, run }]: buttons for what the shopper has to decide.
// `retry` is the function to call, or null if a retry cannot help.
// `wait` is the number of seconds until a retry is allowed.
export function showMessage(texts, { remedies = [], retry = null, wait = 0 } = {}) {
  clearInterval(countdown);
  const box = find("message");
  box.replaceChildren(
    ...texts.map((text) => el("p", {}, text)),
    el("div", { class: "remedies" }, ...remedies.map(remedyButton)));
  if (retry) box.append(retryButton(retry, wait));
  box.hidden = false;
  box.focus();
}

export function hideMessage() {
  clearInterval(countdown);
  find("message").hidden = true;
}

// Removes the buttons of the products that need no decision any more, and with the
// last of them the message.
export function keepRemedies(isNeeded) {
  const box = find("message");
  const remedies = [...box.querySelectorAll("[data-sku]")];
  const done = remedies.filter((button) => !isNeeded(button.dataset.sku));
  if (done.length === 0) return;
  const hadFocus = box.contains(document.activeElement);
  for (const button of done) button.remove();
  const rest = box.querySelector("[data-sku]");
  if (!rest) hideMessage();
  if (hadFocus) (rest ?? find("cart-title")).focus();
}

function remedyButton({ sku, text, run }) {
  return el("button", { type: "button", "data-sku": sku, "data-testid": `remedy-${sku}`, onclick: run }, text);
}

function retryButton(retry, wait) {
  const button = el("button", { type: "button", "data-testid": "retry", onclick: retry });
  let left = wait;
  function show() {
    button.disabled = left > 0;
    setText(button, left > 0 ? words.retryIn(left) : words.retry);
  }
  function tick() {
    left -= 1;
    show();
    if (left <= 0) clearInterval(countdown);
  }
  show();
  if (left > 0) countdown = setInterval(tick, 1000);
  // The button is part of an alert: a screen reader must not read every number.
  return el("div", { "aria-live": "off" }, button);
}
