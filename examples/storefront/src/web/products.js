// The list of products with live stock.

import { makeAddForm } from "./add_form.js";
import { announce, el, find, setText } from "./dom.js";
import { money } from "./formats.js";
import { picture } from "./pictures.js";
import { linkTo } from "./product_page.js";
import { available, showStock } from "./stock.js";
import { words } from "./words.js";

const cards = new Map(); // by sku

// Cards are changed in place: a poll must not take the focus, nor the quantity
// that the shopper is typing.
export function showProducts(products, onAdd) {
  const list = find("products");
  for (const skeleton of list.querySelectorAll(".skeleton")) skeleton.remove();
  for (const product of products) {
    if (!cards.has(product.sku)) {
      const card = makeCard(product, onAdd);
      cards.set(product.sku, card);
      list.append(card.root);
    }
    cards.get(product.sku).update(product);
  }
  removeOthers(products);
}

export function focusCard(sku) {
  cards.get(sku)?.link.focus();
}

function removeOthers(products) {
  const skus = new Set(products.map((product) => product.sku));
  for (const [sku, card] of cards) {
    if (skus.has(sku)) continue;
    card.root.remove();
    cards.delete(sku);
  }
}

function makeCard({ sku, name }, onAdd) {
  const link = el("a", { href: linkTo(sku), "data-view": "product", "data-testid": `open-${sku}` });
  const price = el("p", { class: "price" });
  const stock = el("p", { class: "stock", "data-testid": `stock-${sku}` });
  const form = makeAddForm(sku, "add", onAdd);
  const text = el("div", { class: "product-text" }, el("h3", {}, link), price, stock, form.root);
  const root = el("li", { class: "product", "data-testid": `product-${sku}` }, picture(sku, name), text);

  let before = null;
  function update(product) {
    const left = available(product);
    setText(link, product.name);
    setText(price, money(product.price));
    showStock(stock, left);
    form.update(product.name, left);
    announceChange(product.name, before, left);
    before = left;
  }

  return { root, link, update };
}

// Only the first and the last piece are announced: every sale would be noise.
function announceChange(name, before, now) {
  if (before === null) return;
  if (before > 0 && now === 0) announce(words.nowSoldOut(name));
  if (before === 0 && now > 0) announce(words.nowAvailable(name));
}
