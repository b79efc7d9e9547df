// The formats of numbers, money, times and names of countries.

import { locale } from "./language.js";

export function number(value, options = { maximumFractionDigits: 2 }) {
  return new Intl.NumberFormat(locale, options).format(value);
}

export function money({ minor, currency }) {
  const format = new Intl.NumberFormat(locale, { style: "currency", currency });
  // The format knows how many decimals a currency has: none for yen, two for pesos.
  const digits = format.resolvedOptions().maximumFractionDigits;
  return format.format(minor / 10 ** digits);
}

// A day and a time of day: "Dec 1, 2026, 8:05 AM"
export function time(text) {
  return format(text, { dateStyle: "medium", timeStyle: "short" });
}

// A time of day: "8:05 AM"
export function hour(text) {
  return format(text, { timeStyle: "short" });
}

// A time of day with its seconds: "8:05:12 AM"
export function clock(text) {
  return format(text, { timeStyle: "medium" });
}

function format(text, options) {
  return new Intl.DateTimeFormat(locale, options).format(new Date(text));
}

// "09:05"
export function minutes(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

export function countryName(code) {
  return new Intl.DisplayNames([locale], { type: "region" }).of(code);
}
