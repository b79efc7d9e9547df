// The choice of theme and language at the top of both pages.

import { find } from "./dom.js";
import { chooseLanguage, language } from "./language.js";

export function startSettings() {
  const root = document.documentElement;
  const theme = find("theme");
  theme.value = root.dataset.theme;
  theme.addEventListener("change", () => {
    root.dataset.theme = theme.value;
    localStorage.setItem("barro.theme", theme.value);
  });
  const languages = find("language");
  languages.value = language;
  languages.addEventListener("change", () => chooseLanguage(languages.value));
}
