// The products of the shop, as the server has sent them last.

import { call } from "./api.js";
import { find, setText } from "./dom.js";
import { followAddress, updatePage } from "./product_page.js";
import { focusCard, showProducts } from "./products.js";
import { words } from "./words.js";

const PATH = "/api/marketplace/products?limit=100";

let products = null; // by sku; null until they are loaded
let onAdd;

// `add(sku, quantity)` puts a product into the cart.
export function startCatalogue(add) {
  onAdd = add;
  followAddress({ products: () => products, onAdd, onList: focusCard });
}

export function productOf(sku) {
  return products?.get(sku);
}

export async function loadProducts() {
  const list = await call("GET", PATH).catch((problem) => {
    showNote(products ? words.notLive : words.tryingAgain);
    throw problem;
  });
  products = new Map(list.map((product) => [product.sku, product]));
  showProducts(list, onAdd);
  updatePage(products);
  showNote(list.length === 0 ? words.noProducts : "");
}

function showNote(text) {
  const note = find("products-note");
  setText(note, text);
  note.classList.toggle("visually-hidden", text === "");
}
