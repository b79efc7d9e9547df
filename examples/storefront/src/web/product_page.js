// The page of one product: the view of the address "#product/<sku>".

import { makeAddForm } from "./add_form.js";
import { el, find, setText } from "./dom.js";
import { money } from "./formats.js";
import { picture } from "./pictures.js";
import { available, showStock } from "./stock.js";
import { words } from "./words.js";

const PREFIX = "#product/";
const LIST = "#products";

let page = null; // that of the shown product: { sku, title, update }

export function linkTo(sku) {
  return PREFIX + encodeURIComponent(sku);
}

// Follows the address. `onList(sku)` is called after the way back from a product.
export function followAddress({ products, onAdd, onList }) {
  const change = () => {
    const before = page?.sku ?? null;
    const sku = skuOfAddress(before);
    if (sku === before) return;
    showPage(sku, products(), onAdd);
    // The new content has the focus, and is seen from its beginning.
    scrollTo(0, 0);
    if (page) page.title.focus();
    else onList(before);
  };
  addEventListener("hashchange", change);
  showPage(skuOfAddress(null), products(), onAdd);
}

// `products` is by sku. Called after each load.
export function updatePage(products) {
  page?.update(products);
}

// A link to a part of the page, as to the cart, keeps the view.
function skuOfAddress(before) {
  const { hash } = location;
  if (hash.startsWith(PREFIX)) return decode(hash.slice(PREFIX.length));
  return hash === "" || hash === LIST ? null : before;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // of a wrong address: no product has this sku
  }
}

function showPage(sku, products, onAdd) {
  for (const id of ["intro", "product-list"]) find(id).hidden = sku !== null;
  find("product").hidden = sku === null;
  page = sku === null ? null : makePage(sku, onAdd);
  find("product").replaceChildren(...(page?.nodes ?? []));
  document.title = words.shopTitle;
  page?.update(products);
}

function makePage(sku, onAdd) {
  const title = el("h1", { id: "product-title", tabindex: -1 }, words.loading);
  const price = el("p", { class: "price" });
  const stock = el("p", { class: "stock", "data-testid": "page-stock" });
  const form = makeAddForm(sku, "page-add", onAdd);
  const text = el("div", { class: "product-page-text" }, title, price, stock, form.root);
  const shelf = el("div", { class: "product-page-picture" });
  const back = el("p", { class: "back" }, el("a", { href: LIST }, `\u2190 ${words.backToList}`));
  const show = (visible) => {
    for (const node of [price, stock, form.root, shelf]) node.hidden = !visible;
  };
  show(false);

  // `products` is null until they are loaded.
  function update(products) {
    const product = products?.get(sku);
    if (!products) return;
    show(product !== undefined);
    setText(title, product?.name ?? words.noSuchProduct);
    document.title = `${title.textContent} \u00b7 Barro`;
    if (!product) return;
    if (shelf.childElementCount === 0) shelf.append(picture(sku, product.name));
    setText(price, money(product.price));
    showStock(stock, available(product));
    form.update(product.name, available(product));
  }

  return { sku, title, update, nodes: [back, el("div", { class: "product-page" }, shelf, text)] };
}
