// The texts of both pages, in the language of the page.

import { english } from "./english.js";
import { language } from "./language.js";
import { spanish } from "./spanish.js";

export const words = { en: english, es: spanish }[language];

// Fills each element that has a data-word attribute.
export function translatePage() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-word]")) {
    node.textContent = words[node.dataset.word];
  }
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", words[node.dataset.label]);
  }
}
