// The language of the pages: the chosen one, or else the browser's first one of these.

const KEY = "barro.language";
const LANGUAGES = ["en", "es"];

const languageOf = (locale) => locale.slice(0, 2).toLowerCase();
const chosen = LANGUAGES.find((code) => code === localStorage.getItem(KEY));
const fits = (locale) => (chosen ? [chosen] : LANGUAGES).includes(languageOf(locale));

// The region is kept: Mexico and Spain write numbers differently.
export const locale = navigator.languages.find(fits) ?? (chosen === "es" ? "es-MX" : "en");
export const language = languageOf(locale);

// Remembers the language. The page is loaded again in it: what the shopper has
// typed is kept, and the rest comes from the server.
export function chooseLanguage(code) {
  localStorage.setItem(KEY, code);
  location.reload();
}
