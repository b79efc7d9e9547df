// Turns a problem of the API into sentences for the shopper.

import { money } from "./formats.js";
import { words } from "./words.js";

// The problems of a cart that stay until the shopper changes the cart.
const DECISIONS = ["cart-bought", "insufficient-stock", "price-changed"];

// `nameOf` gives the name of a product for its sku. Returns the sentences.
export function explainCheckout(problem, nameOf) {
  const { code, details } = problem;
  switch (code) {
    case "insufficient-stock":
      return [...explainShort(details.short ?? [], nameOf), words.nothingOrdered];
    case "price-changed":
      return [words.priceMoved(nameOf(details.sku), money(details.expected), money(details.actual)), words.nothingOrdered];
    case "product-paused":
      return [words.paused, words.tryAgain];
    case "conflict":
      return [words.conflict, words.tryAgain];
    case "cart-bought":
      return [words.mismatch, words.mismatchNext];
    case "unknown-outcome":
      return [words.unknownOutcome, words.retryIsSafe];
    case "network":
      return [words.noAnswer, words.retryIsSafe];
    case "busy":
      return [words.busy];
  }
  if (isUnknown(problem)) return [words.unknownOutcome, words.retryIsSafe, ...requestOf(problem)];
  return explain(problem);
}

// Says how the cart differs from the one that the page showed.
export function explainCart(shown, current) {
  const texts = [];
  const before = new Map(shown.items.map((item) => [item.sku, item]));
  for (const item of current.items) {
    const known = before.get(item.sku);
    before.delete(item.sku);
    if (!known) texts.push(words.cartHasNow(item.name ?? item.sku, item.quantity));
    else if (known.quantity !== item.quantity) texts.push(words.cartHasOther(item.name ?? item.sku, known.quantity, item.quantity));
  }
  for (const { sku, name } of before.values()) texts.push(words.cartLacks(name ?? sku));
  return [words.cartChanged, ...texts];
}

// Says why an order could not be paid.
export function explainPayment(problem, nameOf) {
  if (problem.code !== "insufficient-stock") return explain(problem);
  const { short = [] } = problem.details;
  const texts = short.map(({ sku, available }) => (available > 0
    ? words.orderShort(nameOf(sku), available)
    : words.orderGone(nameOf(sku))));
  return [...texts, words.notCharged];
}

export function explain(problem) {
  const texts = {
    "network": words.noConnection,
    "busy": words.busy,
    "too-many-requests": words.tooMany,
    "invalid": words.invalid,
    "empty-cart": words.emptyCart,
    "unauthorized": words.unauthorized,
    "not-found": words.notFound,
    "invalid-order-state": words.invalidOrderState,
    "archived": words.archived,
  };
  const text = texts[problem.code];
  return text ? [text] : [words.unexpected, ...requestOf(problem)];
}

// The id by which the operator finds an error in the log.
function requestOf({ status, details }) {
  return status === 500 && details.request_id ? [words.requestId(details.request_id)] : [];
}

// Returns whether an order may exist all the same. Of the failures of a server
// or a proxy, only `busy` guarantees that nothing was changed.
function isUnknown({ status, code }) {
  return status === 0 || (status >= 500 && code !== "busy");
}

// Returns whether a retry can help. It cannot while the address is wrong, nor when
// the shopper has to decide about the cart first.
export function canRetry(problem) {
  if (problem.details.current || DECISIONS.includes(problem.code)) return false;
  return isUnknown(problem) || [409, 429, 503].includes(problem.status);
}

function explainShort(short, nameOf) {
  if (short.length === 0) return [words.notEnough];
  return short.map(({ sku, available }) => (available > 0
    ? words.fewLeft(nameOf(sku), available)
    : words.lastOneGone(nameOf(sku))));
}
