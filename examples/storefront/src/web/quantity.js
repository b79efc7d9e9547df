// A quantity that the shopper types: a whole number of at least 1.

import { el, setText } from "./dom.js";
import { words } from "./words.js";

const MOST = 1_000_000_000;

// Returns the field and its message. `id` is that of the message.
export function makeQuantity(id) {
  const error = el("p", { id, class: "field-error" });
  const input = el("input", {
    type: "number", min: 1, max: MOST, step: 1, value: 1, inputmode: "numeric", "aria-describedby": id,
  });
  input.addEventListener("input", () => showError(""));

  function showError(text) {
    input.setAttribute("aria-invalid", text !== "");
    setText(error, text);
  }

  // Returns the quantity, or null after a message at the field.
  function read() {
    const value = input.valueAsNumber;
    const valid = Number.isInteger(value) && value >= 1 && value <= MOST;
    showError(valid ? "" : words.quantityWrong);
    return valid ? value : null;
  }

  function write(value) {
    input.value = value;
    showError("");
  }

  return { input, error, read, write };
}
