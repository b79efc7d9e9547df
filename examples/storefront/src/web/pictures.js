// Draws a small picture for a product: a pot, a cup, a plate, a basket, a rug
// or a carved figure. The same sku always gets the same picture.

import { svg } from "./dom.js";

const kinds = [
  { draw: drawRug, hints: ["rug", "tapete", "blanket", "textil", "rebozo", "wool", "lana"] },
  { draw: drawFigure, hints: ["alebrije", "figur", "animal", "jaguar", "cat", "wood", "copal"] },
  { draw: drawCup, hints: ["cup", "mug", "taza", "jarr", "jug", "mezcal", "copita"] },
  { draw: drawPlate, hints: ["plate", "plato", "bowl", "comal", "dish", "tray"] },
  { draw: drawBasket, hints: ["basket", "canasta", "tenate", "palm"] },
  { draw: drawPot, hints: ["pot", "olla", "vase", "florero", "clay", "barro", "cantaro"] },
];

// The colours are: main, dark, light, accent.
const palettes = [
  { colours: ["#b5502f", "#6f2c17", "#f3d9b8", "#2f3e78"], hints: ["red", "rojo", "roja"] },
  { colours: ["#2f3e78", "#1c2650", "#e9dcc0", "#c8643c"], hints: ["blue", "azul", "indigo"] },
  { colours: ["#3b3634", "#1f1c1b", "#c9bfb2", "#b5502f"], hints: ["black", "negro", "negra"] },
  { colours: ["#3f7463", "#234539", "#f2e3c6", "#c2452d"], hints: ["green", "verde"] },
  { colours: ["#c58a2b", "#7a4d12", "#fff1d2", "#2f3e78"], hints: ["yellow", "amarill", "gold", "palm"] },
  { colours: ["#8c3a5b", "#551e36", "#f6dcd4", "#d79a2b"], hints: ["pink", "rosa", "grana"] },
];

export function picture(sku, name) {
  const seed = hash(sku);
  const text = `${sku} ${name}`.toLowerCase();
  const { draw } = choose(kinds, text, seed);
  const { colours } = choose(palettes, text, seed);
  // The name stands beside the picture, so a screen reader skips the picture.
  return svg("svg", { viewBox: "0 0 200 150", class: "picture", "aria-hidden": "true" },
    svg("ellipse", { cx: 100, cy: 134, rx: 62, ry: 7, class: "picture-shadow" }),
    ...draw(colours, seed));
}

// Chooses by a word in the name or sku, or else by the hash of the sku.
function choose(choices, text, seed) {
  const fits = ({ hints }) => hints.some((hint) => text.includes(hint));
  return choices.find(fits) ?? choices[seed % choices.length];
}

// FNV-1a: short, and it spreads similar skus well.
function hash(text) {
  let value = 2166136261;
  for (const letter of text) {
    value = Math.imul(value ^ letter.codePointAt(0), 16777619) >>> 0;
  }
  return value >>> 8;
}

function drawPot([main, dark, light, accent], seed) {
  return [
    svg("path", { d: "M80 34 C38 52 34 112 78 134 H122 C166 112 162 52 120 34 Z", fill: main }),
    svg("path", { d: "M120 34 C162 52 166 112 122 134 H104 C140 108 142 58 108 34 Z", fill: dark, opacity: 0.35 }),
    svg("path", { d: "M78 34 L74 18 H126 L122 34 Z", fill: main }),
    svg("rect", { x: 70, y: 13, width: 60, height: 8, rx: 4, fill: dark }),
    zigzag(56, 144, 62, 7 + (seed % 4), light),
    svg("path", { d: "M51 80 Q100 88 149 80", stroke: accent, "stroke-width": 5, fill: "none" }),
    zigzag(56, 144, 98, 7 + (seed % 4), light),
  ];
}

function drawCup([main, dark, light, accent], seed) {
  return [
    svg("path", { d: "M138 56 C176 52 174 104 132 104", stroke: dark, "stroke-width": 9, fill: "none" }),
    svg("path", { d: "M58 36 H142 L132 118 Q130 132 116 132 H84 Q70 132 68 118 Z", fill: main }),
    svg("path", { d: "M118 36 H142 L132 118 Q130 132 116 132 H106 Z", fill: dark, opacity: 0.3 }),
    svg("ellipse", { cx: 100, cy: 36, rx: 42, ry: 9, fill: dark }),
    svg("path", { d: "M62 60 H139", stroke: light, "stroke-width": 3 }),
    ...dots(5, (i) => [72 + i * 14, 82], 4 + (seed % 2), light),
    svg("path", { d: "M66 104 H134", stroke: accent, "stroke-width": 5 }),
  ];
}

function drawPlate([main, dark, light, accent], seed) {
  const petals = 8 + (seed % 3) * 2;
  return [
    svg("circle", { cx: 100, cy: 74, r: 62, fill: dark }),
    svg("circle", { cx: 100, cy: 72, r: 60, fill: main }),
    ...dots(24, around(100, 72, 53, 24), 2.5, light),
    svg("circle", { cx: 100, cy: 72, r: 44, fill: light }),
    ...Array.from({ length: petals }, (_, i) => svg("ellipse", {
      cx: 100, cy: 48, rx: 6, ry: 16, fill: i % 2 ? accent : main,
      transform: `rotate(${(360 / petals) * i} 100 72)`,
    })),
    svg("circle", { cx: 100, cy: 72, r: 9, fill: dark }),
  ];
}

function drawBasket([main, dark, light, accent], seed) {
  const rows = [62, 78, 94, 110, 126];
  return [
    svg("path", { d: "M56 52 C56 4 144 4 144 52", stroke: dark, "stroke-width": 8, fill: "none" }),
    svg("path", { d: "M46 52 H154 L138 124 Q136 134 126 134 H74 Q64 134 62 124 Z", fill: main }),
    svg("path", { d: "M128 52 H154 L138 124 Q136 134 126 134 H112 Z", fill: dark, opacity: 0.3 }),
    // The weave: each row is moved by half a step.
    ...rows.map((y, i) => svg("path", {
      d: `M${53 + i * 3.4} ${y} H${147 - i * 3.4}`, stroke: i === 2 ? accent : light,
      "stroke-width": 6, "stroke-dasharray": `${8 + (seed % 2)} 7`, "stroke-dashoffset": i % 2 ? 7 : 0,
    })),
    svg("rect", { x: 42, y: 46, width: 116, height: 10, rx: 5, fill: dark }),
  ];
}

function drawRug([main, dark, light, accent], seed) {
  const fringes = Array.from({ length: 14 }, (_, i) => 26 + i * 7.5);
  const steps = 3 + (seed % 2);
  return [
    ...fringes.map((y) => svg("path", { d: `M22 ${y} H178`, stroke: dark, "stroke-width": 2, opacity: 0.6 })),
    svg("rect", { x: 32, y: 20, width: 136, height: 110, fill: main }),
    svg("rect", { x: 40, y: 20, width: 8, height: 110, fill: dark }),
    svg("rect", { x: 152, y: 20, width: 8, height: 110, fill: dark }),
    ...Array.from({ length: steps }, (_, i) => steppedDiamond(100, 75, steps - i, [light, accent, dark][i % 3])),
    ...[28, 122].flatMap((y) => dots(6, (i) => [62 + i * 15.2, y], 3, light)),
  ];
}

// A diamond with steps, as in the rugs of Teotitlán.
function steppedDiamond(x, y, size, colour) {
  const unit = 9;
  let path = "";
  for (let row = -size; row <= size; row += 1) {
    const half = (size - Math.abs(row) + 1) * unit * 1.1;
    path += `M${x - half} ${y + row * unit - unit / 2} h${half * 2} v${unit} h${-half * 2} z`;
  }
  return svg("path", { d: path, fill: colour });
}

function drawFigure([main, dark, light, accent], seed) {
  return [
    svg("path", { d: "M48 92 C16 92 18 40 42 42 C56 44 50 60 42 58", stroke: accent, "stroke-width": 9, "stroke-linecap": "round", fill: "none" }),
    ...[58, 76, 112, 130].map((x, i) => svg("rect", { x, y: 92, width: 13, height: 40, rx: 5, fill: i % 2 ? main : dark })),
    svg("ellipse", { cx: 98, cy: 84, rx: 54, ry: 28, fill: main }),
    svg("path", { d: "M130 34 L128 12 L144 26 Z M156 26 L172 12 L170 34 Z", fill: accent }),
    svg("ellipse", { cx: 150, cy: 48, rx: 27, ry: 24, fill: main }),
    svg("circle", { cx: 141, cy: 44, r: 5, fill: light }),
    svg("circle", { cx: 160, cy: 44, r: 5, fill: light }),
    svg("circle", { cx: 141, cy: 44, r: 2.4, fill: dark }),
    svg("circle", { cx: 160, cy: 44, r: 2.4, fill: dark }),
    svg("path", { d: "M146 56 H156 L151 62 Z", fill: dark }),
    ...dots(7, (i) => [58 + i * 12.5, 74 + (i % 2) * 5], 4, light),
    ...dots(6, (i) => [64 + i * 13, 92 + (i % 2) * 4], 3 + (seed % 2), accent),
    zigzag(70, 122, 62, 4, light),
  ];
}

function zigzag(left, right, y, height, colour) {
  const step = 8;
  let path = `M${left} ${y}`;
  for (let x = left + step, up = true; x <= right; x += step, up = !up) {
    path += ` L${x} ${up ? y - height : y}`;
  }
  return svg("path", { d: path, stroke: colour, "stroke-width": 3, fill: "none", "stroke-linejoin": "round" });
}

function dots(count, place, radius, colour) {
  return Array.from({ length: count }, (_, i) => {
    const [cx, cy] = place(i);
    return svg("circle", { cx, cy, r: radius, fill: colour });
  });
}

function around(x, y, radius, count) {
  return (i) => {
    const angle = (2 * Math.PI * i) / count;
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  };
}
