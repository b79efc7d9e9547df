// The tiles of the goals: each figure with its goal and its alert threshold.

import { announce, el, find, setText } from "./dom.js";
import { number } from "./formats.js";
import { words } from "./words.js";

const tiles = new Map(); // by kind

// The formats of the values, by kind.
const percent = (value) => number(value, { style: "percent", maximumFractionDigits: 1 });
const formats = {
  "conflict-rate": percent,
  "failed-orders": percent,
  "checkout-seconds": (value) => `${number(value, { maximumFractionDigits: 3 })}\u00a0s`,
};

export function showKpis(kpis) {
  for (const kpi of kpis) {
    if (!tiles.has(kpi.kind)) {
      const tile = makeTile(kpi.kind);
      tiles.set(kpi.kind, tile);
      find("kpis").append(tile.root);
    }
    tiles.get(kpi.kind).update(kpi);
  }
}

function stateOf({ value, goal, alert }) {
  if (value === null) return "none";
  if (alert) return "alert";
  return value > goal ? "above" : "ok";
}

function makeTile(kind) {
  const name = words.kpi[kind] ?? kind;
  const format = formats[kind] ?? ((value) => number(value));
  const state = el("p", { class: "kpi-state" });
  const value = el("p", { class: "kpi-value" });
  const limits = el("p", { class: "kpi-limits" });
  const root = el("li", { class: "kpi", "data-testid": `kpi-${kind}` }, el("h3", {}, name), value, state, limits);

  // A sign and a word, as colour alone is not enough.
  const signs = {
    none: words.noData,
    ok: `\u2713 ${words.ok}`,
    above: `\u25c6 ${words.aboveGoal}`,
    alert: `\u25b2 ${words.alert}`,
  };
  const announcements = { ok: words.kpiOk(name), above: words.kpiAboveGoal(name), alert: words.kpiAlert(name) };

  let before = null;
  function update(kpi) {
    const now = stateOf(kpi);
    root.dataset.state = now;
    setText(value, kpi.value === null ? "\u2013" : format(kpi.value));
    setText(state, signs[now]);
    setText(limits, `${words.goal}:\u00a0${format(kpi.goal)} \u00b7 ${words.threshold}:\u00a0${format(kpi.threshold)}`);
    if (before && before !== "none" && before !== now && announcements[now]) announce(announcements[now]);
    before = now;
  }

  return { root, update };
}
