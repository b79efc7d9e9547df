// The cart: its lines, and the changes since they were put into it.

import { announce, el, find, setText } from "./dom.js";
import { money } from "./formats.js";
import { picture } from "./pictures.js";
import { makeQuantity } from "./quantity.js";
import { words } from "./words.js";

const lines = new Map(); // by sku

// Shows that the cart is not known yet. `text` says why.
export function showLoading(text) {
  removeOthers([]);
  setText(find("cart-loading-text"), text);
  find("cart-loading").hidden = false;
  find("cart-empty").hidden = true;
  find("cart-total-line").hidden = true;
}

// `actions` has setQuantity(sku, quantity), acceptPrice(item), take(item)
// and remove(item).
export function showCart(cart, actions) {
  for (const item of cart.items) {
    if (!lines.has(item.sku)) {
      const line = makeLine(item, actions);
      lines.set(item.sku, line);
      find("cart-items").append(line.root);
    }
    lines.get(item.sku).update(item);
  }
  removeOthers(cart.items);

  const count = cart.items.reduce((sum, item) => sum + item.quantity, 0);
  setText(find("cart-link"), words.cartLink(count));
  find("cart-loading").hidden = true;
  find("cart-empty").hidden = count > 0;
  find("cart-total-line").hidden = !cart.total;
  if (cart.total) setText(find("cart-total"), money(cart.total));
}

export function focusLine(sku) {
  lines.get(sku)?.focus();
}

// Returns whether all quantities are valid. The first other one gets the focus.
export function checkLines() {
  const wrong = [...lines.values()].find((line) => !line.isValid());
  wrong?.focus();
  return !wrong;
}

function removeOthers(items) {
  const skus = new Set(items.map((item) => item.sku));
  for (const [sku, line] of lines) {
    if (skus.has(sku)) continue;
    const hadFocus = line.root.contains(document.activeElement);
    line.root.remove();
    lines.delete(sku);
    // Otherwise the focus falls back to the top of the page.
    if (hadFocus) find("cart-title").focus();
  }
}

function makeLine({ sku, name }, actions) {
  let item;
  const price = el("p", { class: "cart-price" });
  const sum = el("p", { class: "cart-sum" });
  const notes = el("div", { class: "cart-notes" });
  const quantity = makeQuantity(`cart-error-${sku}`);
  quantity.input.setAttribute("aria-label", words.quantityOf(name));
  const less = el("button", { type: "button", "aria-label": words.lessOf(name), onclick: () => step(-1) }, "\u2212");
  const more = el("button", { type: "button", "aria-label": words.moreOf(name), onclick: () => step(1) }, "+");
  const remove = el("button", { type: "button", class: "quiet", "aria-label": words.removeName(name), onclick: () => actions.remove(item) }, words.remove);
  const root = el("li", { class: "cart-item", "data-testid": `cart-item-${sku}` },
    picture(sku, name),
    el("div", { class: "cart-text" }, el("h3", {}, name), price),
    sum,
    el("div", { class: "stepper" }, less, quantity.input, more),
    remove,
    quantity.error,
    notes);

  quantity.input.addEventListener("change", change);

  let shown; // the quantity that the field had before the shopper changed it
  function write(value) {
    shown = value;
    quantity.write(value);
    less.disabled = value <= 1;
  }

  function step(by) {
    const value = quantity.input.valueAsNumber;
    write((Number.isInteger(value) && value >= 1 ? value : item.quantity) + by);
    actions.setQuantity(sku, shown);
  }

  // An invalid quantity stays in the field with its message, and changes nothing.
  function change() {
    const wanted = quantity.read();
    if (wanted === null) {
      announce(quantity.error.textContent);
      return;
    }
    write(wanted);
    actions.setQuantity(sku, wanted);
  }

  function update(newItem) {
    if (item) announceChange(item, newItem);
    item = newItem;
    // Otherwise a poll would replace what the shopper is typing.
    if (item.quantity !== shown) write(item.quantity);
    price.replaceChildren(...priceOf(item));
    // At the current price, like the total.
    setText(sum, money(times(item.current_price ?? item.price, item.quantity)));
    showNotes(item);
  }

  // The notes are rebuilt only if they differ: otherwise a poll takes the focus
  // from a button in them.
  let notesShown = "";
  function showNotes(current) {
    const { price_changed, short, available, current_price } = current;
    const wanted = JSON.stringify([price_changed && current_price, short && available]);
    if (wanted === notesShown) return;
    notesShown = wanted;
    const hadFocus = notes.contains(document.activeElement);
    notes.replaceChildren(...notesOf(current, actions));
    if (hadFocus) quantity.input.focus();
  }

  return {
    root,
    update,
    focus: () => quantity.input.focus(),
    isValid: () => quantity.input.getAttribute("aria-invalid") !== "true",
  };
}

function priceOf(item) {
  if (!item.price_changed || !item.current_price) return [`${money(item.price)} ${words.each}`];
  return [
    el("span", { class: "visually-hidden" }, `${words.oldPrice}: `),
    el("s", {}, money(item.price)),
    " ",
    el("span", { class: "visually-hidden" }, `${words.newPrice}: `),
    el("strong", { class: "new-price" }, money(item.current_price)),
    ` ${words.each}`,
  ];
}

function notesOf(item, actions) {
  const { sku, name, available } = item;
  const notes = [];
  if (item.short) {
    const text = available > 0 ? words.lineShort(available) : words.lineGone;
    const take = el("button", {
      type: "button",
      "data-testid": `take-${sku}`,
      "aria-label": words.takeOf(available, name),
      onclick: () => actions.take(item),
    }, words.take(available));
    notes.push(el("p", { class: "note" }, el("span", {}, text), ...(available > 0 ? [take] : [])));
  }
  if (item.price_changed && item.current_price) {
    const accept = el("button", {
      type: "button",
      "data-testid": `accept-price-${sku}`,
      "aria-label": words.acceptPriceOf(name),
      onclick: () => actions.acceptPrice(item),
    }, words.acceptPrice);
    notes.push(el("p", { class: "note" }, el("span", {}, words.priceChanged), accept));
  }
  return notes;
}

function announceChange(before, now) {
  if (!before.short && now.short) announce(words.lineNowShort(now.name));
  if (!before.price_changed && now.price_changed) announce(words.lineNewPrice(now.name));
}

function times(price, quantity) {
  return { ...price, minor: price.minor * quantity };
}
