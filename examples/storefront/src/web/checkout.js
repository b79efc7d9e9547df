// The checkout form: the address, its messages, and the buy button.

import { el, find, setText } from "./dom.js";
import { countryName } from "./formats.js";
import { words } from "./words.js";

const countries = ["MX", "AR", "CA", "CL", "CO", "DE", "ES", "FR", "GB", "GT", "PE", "US"];

// What was typed, which a reload keeps.
const DRAFT = "barro.address";

const form = find("checkout");
const fields = [...form.querySelectorAll("input, select")];

export function startCheckout({ onBuy }) {
  find("country").append(...countries.map((code) => el("option", { value: code }, countryName(code))));
  fillAddress(JSON.parse(sessionStorage.getItem(DRAFT)) ?? {});
  form.addEventListener("input", (event) => {
    showError(event.target, "");
    sessionStorage.setItem(DRAFT, JSON.stringify(address()));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (checkFields()) onBuy(address());
  });
}

export function showForm(visible) {
  form.hidden = !visible;
}

// Does the same as a press on the buy button, including its checks.
export function submit() {
  form.requestSubmit();
}

export function setBusy(busy) {
  const button = find("buy");
  button.disabled = busy;
  button.setAttribute("aria-busy", busy);
  setText(button, busy ? words.processing : words.buy);
  find("address").disabled = busy;
}

export function fillAddress(known) {
  for (const field of fields) {
    if (known[field.name]) field.value = known[field.name];
  }
}

function address() {
  const entries = fields.map((field) => [field.name, field.value.trim()]);
  // An empty phone is omitted: the server refuses an empty text.
  return Object.fromEntries(entries.filter(([, value]) => value !== ""));
}

function checkFields() {
  for (const field of fields) {
    if (field.tagName === "INPUT") field.value = field.value.trim();
    showError(field, whatIsWrong(field));
  }
  const wrong = fields.find((field) => !field.validity.valid);
  wrong?.focus();
  return !wrong;
}

function whatIsWrong(field) {
  const { validity, minLength, value } = field;
  const label = words[field.name];
  // The browser sets tooShort only after the shopper has typed.
  if (validity.valueMissing) return words.fieldMissing(label);
  if (validity.tooShort || (value !== "" && value.length < minLength)) return words.fieldShort(label, minLength);
  return validity.valid ? "" : words.fieldWrong(label);
}

// The errors of the server: [{ field: "shipping_address.city", why: "is empty" }]
export function showServerErrors(errors) {
  for (const { field: path, why } of errors) {
    const field = fields.find(({ name }) => name === path.split(".").pop());
    if (field) showError(field, words.fieldRefused(words[field.name], why));
  }
}

function showError(field, text) {
  field.setAttribute("aria-invalid", text !== "");
  setText(find(`${field.id}-error`), text);
}
