// The form that puts a product into the cart: a quantity and a button.

import { el } from "./dom.js";
import { makeQuantity } from "./quantity.js";
import { words } from "./words.js";

// `place` differs between the forms of one product.
export function makeAddForm(sku, place, onAdd) {
  const quantity = makeQuantity(`${place}-error-${sku}`);
  const button = el("button", { type: "submit", class: "primary", "data-testid": `${place}-${sku}` }, words.add);
  const root = el("form", { class: "add", novalidate: true }, quantity.input, button, quantity.error);

  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = quantity.read();
    if (wanted === null) {
      quantity.input.focus();
      return;
    }
    onAdd(sku, wanted);
    quantity.write(1);
  });

  function update(name, left) {
    quantity.input.setAttribute("aria-label", words.quantityOf(name));
    button.setAttribute("aria-label", words.addName(name));
    quantity.input.disabled = left === 0;
    button.disabled = left === 0;
  }

  return { root, update };
}
