// The list of products with live stock.

import { announce, el, find, setText } from "./dom.js";
import { picture } from "./pictures.js";
import { money, words } from "./words.js";

const FEW = 5;

const cards = new Map(); // by sku

export function available(product) {
  return Math.max(0, product.stock - product.reserved);
}

// Cards are changed in place: a poll must not take the focus, nor the quantity
// that the shopper is typing.
export function showProducts(products, onAdd) {
  const list = find("products");
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

function removeOthers(products) {
  const skus = new Set(products.map((product) => product.sku));
  for (const [sku, card] of cards) {
    if (skus.has(sku)) continue;
    card.root.remove();
    cards.delete(sku);
  }
}

function makeCard({ sku, name }, onAdd) {
  const title = el("h3");
  const price = el("p", { class: "price" });
  const stock = el("p", { class: "stock", "data-testid": `stock-${sku}` });
  const quantity = el("input", { type: "number", min: 1, step: 1, value: 1, inputmode: "numeric" });
  const add = el("button", { type: "submit", class: "primary", "data-testid": `add-${sku}` }, words.add);
  const form = el("form", { class: "add", novalidate: true }, quantity, add);
  const text = el("div", { class: "product-text" }, title, price, stock, form);
  const root = el("li", { class: "product", "data-testid": `product-${sku}` }, picture(sku, name), text);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onAdd(sku, Math.max(1, Math.floor(quantity.valueAsNumber) || 1));
    quantity.value = 1;
  });

  let before = null;
  function update(product) {
    const left = available(product);
    setText(title, product.name);
    setText(price, money(product.price));
    setText(stock, stockText(left));
    stock.dataset.level = left === 0 ? "none" : left <= FEW ? "few" : "many";
    quantity.setAttribute("aria-label", words.quantityOf(product.name));
    add.setAttribute("aria-label", words.addName(product.name));
    quantity.disabled = left === 0;
    add.disabled = left === 0;
    announceChange(product.name, before, left);
    before = left;
  }

  return { root, update };
}

function stockText(left) {
  if (left === 0) return words.soldOut;
  return left <= FEW ? words.onlyLeft(left) : words.inStock(left);
}

// Only the first and the last piece are announced: every sale would be noise.
function announceChange(name, before, now) {
  if (before === null) return;
  if (before > 0 && now === 0) announce(words.nowSoldOut(name));
  if (before === 0 && now > 0) announce(words.nowAvailable(name));
}
