// The stock of a product, as the shopper sees it.

import { setText } from "./dom.js";
import { words } from "./words.js";

const FEW = 5;

export function available(product) {
  return Math.max(0, product.stock - product.reserved);
}

export function showStock(node, left) {
  node.dataset.level = left === 0 ? "none" : left <= FEW ? "few" : "many";
  if (left === 0) setText(node, words.soldOut);
  else setText(node, left <= FEW ? words.onlyLeft(left) : words.inStock(left));
}
