// The time that is left to pay an order. One timer changes all countdowns.

import { announce, el, setText } from "./dom.js";
import { minutes } from "./formats.js";
import { serverNow } from "./server_time.js";
import { words } from "./words.js";

// A screen reader does not read each second of a timer, only the last minute is announced.
export function makeCountdown(until) {
  const node = el("span", { class: "countdown", role: "timer", "data-until": Date.parse(until) });
  show(node);
  return node;
}

function show(node) {
  const left = Math.max(0, Math.ceil((Number(node.dataset.until) - serverNow()) / 1000));
  setText(node, left > 0 ? minutes(left) : words.timeOver);
  return left;
}

setInterval(() => {
  const left = [...document.querySelectorAll("[data-until]")].map(show);
  if (left.includes(60)) announce(words.lastMinute);
}, 1000);
