// The message above the cart that explains a failure, with a Retry button.

import { el, find, setText } from "./dom.js";
import { words } from "./words.js";

let countdown;

// `retry` is the function to call, or null if a retry cannot help.
// `wait` is the number of seconds until a retry is allowed.
export function showMessage(texts, { retry = null, wait = 0 } = {}) {
  clearInterval(countdown);
  const box = find("message");
  box.replaceChildren(...texts.map((text) => el("p", {}, text)));
  if (retry) box.append(retryButton(retry, wait));
  box.hidden = false;
  box.focus();
}

export function hideMessage() {
  clearInterval(countdown);
  find("message").hidden = true;
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
