// Draws charts as SVG: lines over time, and bars.

import { svg } from "./dom.js";
import { number } from "./formats.js";
import { words } from "./words.js";

const HEIGHT = 200;
const LEFT = 52;
const RIGHT = 8;
const TOP = 30;
const BOTTOM = 26;

// A longer gap between points interrupts the line.
const GAP_MS = 4000;

// `lines` is [{ className, points: [{ time, value }] }]. The newest time is at
// the right edge, `seconds` before it is the left edge. `unit` is that of the values.
export function drawLines(chart, { lines, end, seconds, unit }) {
  // The size is measured, so that the text is as large on a phone.
  const width = Math.max(200, chart.clientWidth);
  const start = end - seconds * 1000;
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value));
  const top = roundUp(Math.max(0, ...values));
  const x = (time) => LEFT + ((time - start) / (end - start)) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);

  chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  chart.replaceChildren(
    svg("text", { class: "chart-text", x: 0, y: 12 }, unit),
    ...[0, top / 2, top].flatMap((value) => gridLine(value, y(value), width)),
    svg("path", { class: "chart-axis", d: `M${LEFT} ${TOP} V${HEIGHT - BOTTOM} H${width - RIGHT}` }),
    ...timeLabels(x, end, seconds),
    ...lines.map(({ className, points }) => svg("path", { class: className, d: pathOf(points, x, y) })),
  );
}

function gridLine(value, y, width) {
  return [
    svg("path", { class: "chart-grid", d: `M${LEFT} ${y} H${width - RIGHT}` }),
    svg("text", { class: "chart-text", x: LEFT - 8, y: y + 4, "text-anchor": "end" }, number(value)),
  ];
}

function timeLabels(x, end, seconds) {
  const label = (ago, text, anchor) => [
    svg("path", { class: "chart-axis", d: `M${x(end - ago * 1000)} ${HEIGHT - BOTTOM} v5` }),
    svg("text", { class: "chart-text", x: x(end - ago * 1000), y: HEIGHT - 6, "text-anchor": anchor }, text),
  ];
  return [
    ...label(seconds, words.minutesAgo(seconds / 60), "start"),
    ...label(seconds / 2, words.minutesAgo(seconds / 120), "middle"),
    ...label(0, words.now, "end"),
  ];
}

// Null values are gaps as well.
function pathOf(points, x, y) {
  let path = "";
  let before = -Infinity;
  for (const { time, value } of points) {
    if (value === null) continue;
    const command = time - before > GAP_MS ? "M" : "L";
    path += `${command}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    before = time;
  }
  return path;
}

// Rounds up to 1, 2, 5, 10, 20, 50, ...
function roundUp(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * unit >= value) * unit;
}

// The bar of a product: its available and its reserved units.
export function makeBar() {
  const free = svg("rect", { class: "bar-free", height: "100%", rx: 3 });
  const reserved = svg("rect", { class: "bar-reserved", height: "100%", rx: 3 });
  const root = svg("svg", { class: "bar", "aria-hidden": "true" }, reserved, free);
  function update(stock, held, most) {
    const percent = (value) => `${(100 * Math.max(0, value)) / Math.max(1, most)}%`;
    reserved.setAttribute("width", percent(stock));
    free.setAttribute("width", percent(stock - held));
  }
  return { root, update };
}
