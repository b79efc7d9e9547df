// Small helpers to make elements. Texts are always set as text, never as
// HTML: a product's name cannot bring a script into the page.

const SVG = "http://www.w3.org/2000/svg";

export function find(id) {
  return document.getElementById(id);
}

// el("button", { type: "button", onclick: pay }, "Pay")
export function el(name, attributes, ...children) {
  return build(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

function build(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) {
      node.addEventListener(key.slice(2), value);
    } else if (value === true) {
      node.setAttribute(key, "");
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(key, value);
    }
  }
  node.append(...children);
  return node;
}

// Changes a text only if it differs, so that a poll without changes does not
// disturb a selection or a screen reader.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Announces a change to a screen reader, without moving the focus.
export function announce(text) {
  find("announcer").textContent = text;
}
