// Turns a problem of the API into sentences for the shopper.

import { money, words } from "./words.js";

// `nameOf` gives the name of a product for its sku. Returns the sentences.
export function explainCheckout(problem, nameOf) {
  const { code, details } = problem;
  switch (code) {
    case "insufficient-stock":
      return [...explainShort(details.short ?? [], nameOf), words.nothingOrdered];
    case "price-changed":
      return [words.priceMoved(nameOf(details.sku), money(details.expected), money(details.actual)), words.nothingOrdered];
    case "conflict":
      return [words.conflict, words.tryAgain];
    case "idempotency-mismatch":
      return [words.mismatch, words.mismatchNext];
    case "unknown-outcome":
      return [words.unknownOutcome, words.retryIsSafe];
    case "network":
      return [words.noAnswer, words.retryIsSafe];
    case "busy":
      return [words.busy];
  }
  if (isUnknown(problem)) return [words.unknownOutcome, words.retryIsSafe];
  return explain(problem);
}

export function explain({ code }) {
  const texts = {
    "network": words.noConnection,
    "busy": words.busy,
    "too-many-requests": words.tooMany,
    "invalid": words.invalid,
    "empty-cart": words.emptyCart,
    "unauthorized": words.unauthorized,
    "not-found": words.notFound,
    "invalid-order-state": words.invalidOrderState,
  };
  return [texts[code] ?? words.unexpected];
}

// Returns whether an order may exist all the same. Of the failures of a server
// or a proxy, only `busy` guarantees that nothing was changed.
function isUnknown({ status, code }) {
  return status === 0 || (status >= 500 && code !== "busy");
}

// Returns whether a retry can help. It cannot while the address is wrong, nor
// after a 422.
export function canRetry(problem) {
  return isUnknown(problem) || problem.code === "insufficient-stock" || [409, 429, 503].includes(problem.status);
}

function explainShort(short, nameOf) {
  if (short.length === 0) return [words.notEnough];
  return short.map(({ sku, available }) => (available > 0
    ? words.fewLeft(nameOf(sku), available)
    : words.lastOneGone(nameOf(sku))));
}
