// The bar at the bottom of a narrow page: the cart is far below the products there.

import { find, setText } from "./dom.js";
import { money } from "./formats.js";
import { words } from "./words.js";

const NOTE_MS = 6000;

let timer;

export function showBar({ items, total }) {
  const count = items.reduce((sum, item) => sum + item.quantity, 0);
  find("cart-bar").hidden = count === 0;
  setText(find("bar-count"), words.cartLink(count));
  setText(find("bar-total"), total ? money(total) : "");
}

// Says for a moment what was added. A screen reader hears it from the announcer.
export function showAdded(text) {
  clearTimeout(timer);
  const note = find("bar-note");
  setText(note, `\u2713 ${text}`);
  note.hidden = false;
  timer = setTimeout(() => { note.hidden = true; }, NOTE_MS);
}
