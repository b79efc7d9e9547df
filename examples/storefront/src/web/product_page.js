// The page of one product: the view of the address "/?product=<sku>".

import { makeAddForm } from "./add_form.js";
import { el, find, setText } from "./dom.js";
import { money } from "./formats.js";
import { picture } from "./pictures.js";
import { available, showStock } from "./stock.js";
import { words } from "./words.js";

let page = null; // that of the shown product: { sku, title, update }

export function linkTo(sku) {
  return `/?product=${encodeURIComponent(sku)}`;
}

// Follows the address, and the links with a data-view attribute without a load of
// the page. `onList(sku)` is called after the way back from a product.
export function followAddress({ products, onAdd, onList }) {
  const change = () => {
    const before = page?.sku ?? null;
    const sku = skuOfAddress();
    if (sku === before) return;
    showPage(sku, products(), onAdd);
    // The new content has the focus, and is seen from its beginning.
    scrollTo(0, 0);
    if (page) page.title.focus();
    else onList(before);
  };
  addEventListener("popstate", change);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-view]");
    // With a key, the browser opens another window.
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    change();
  });
  showPage(skuOfAddress(), products(), onAdd);
}

// `products` is by sku. Called after each load.
export function updatePage(products) {
  page?.update(products);
}

function skuOfAddress() {
  return new URLSearchParams(location.search).get("product");
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
  const back = el("p", { class: "back" }, el("a", { href: "/", "data-view": "list" }, `\u2190 ${words.backToList}`));
  const show = (visible) => {
    for (const node of [price, stock, form.root, shelf]) node.hidden = !visible;
  };
  show(false);

  // `products` is null until they are loaded.
  function update(products) {
    if (!products) return;
    const product = products.get(sku);
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
