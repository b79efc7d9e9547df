// The race of many buyers for few pieces, by naive code and by optilock.

import { listen } from "./api.js";
import { el, find, setText } from "./dom.js";
import { explain } from "./failures.js";
import { words } from "./words.js";

const ways = ["naive", "optilock"];

let racing = false;
let race = null; // { units, naive: { dots, sold, refused }, optilock: the same }

export function startRaceForm() {
  const form = find("race-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const buyers = find("buyers").valueAsNumber;
    const units = find("units").valueAsNumber;
    if (check(buyers, units)) run(buyers, units);
  });
  prepare(50, 10);
}

function check(buyers, units) {
  const inRange = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
  const buyersOk = inRange(buyers, 1, 500);
  const unitsOk = !buyersOk || inRange(units, 0, buyers);
  find("buyers").setAttribute("aria-invalid", !buyersOk);
  find("units").setAttribute("aria-invalid", !unitsOk);
  if (buyersOk && unitsOk) {
    setText(find("race-error"), "");
    return true;
  }
  const [field, low, high] = buyersOk ? ["units", 0, buyers] : ["buyers", 1, 500];
  setText(find("race-error"), `${words[field]}: ${words.raceRange(low, high)}`);
  find(field).focus();
  return false;
}

async function run(buyers, units) {
  if (racing) return;
  setRacing(true);
  prepare(buyers, units);
  let end = null;
  try {
    await listen("POST", "/api/race", {
      body: { buyers, units },
      onEvent(name, data) {
        if (name === "begin") prepare(data.buyers, data.units);
        if (name === "answer") showAnswer(data);
        if (name === "end") end = data;
      },
    });
    if (end) showEnd(end);
    else setText(find("race-error"), words.raceBroken);
  } catch (problem) {
    const text = problem.code === "network" ? words.raceBroken : explain(problem).join(" ");
    setText(find("race-error"), text);
  } finally {
    setRacing(false);
  }
}

function setRacing(now) {
  racing = now;
  const button = find("race-start");
  button.setAttribute("aria-busy", now);
  button.setAttribute("aria-disabled", now);
  setText(button, now ? words.racing : words.raceStart);
}

function prepare(buyers, units) {
  race = { units };
  for (const way of ways) {
    const dots = Array.from({ length: buyers }, (_, i) => el("span", { class: "dot", title: words.dotWaiting(i + 1) }));
    race[way] = { dots, sold: 0, refused: 0 };
    const grid = find(`race-${way}`);
    grid.classList.toggle("many", buyers > 120);
    grid.replaceChildren(...dots);
    showCount(way, "");
  }
  setText(find("race-result"), "");
}

function showAnswer({ way, buyer, outcome, ms }) {
  const lane = race[way];
  lane[outcome] += 1;
  const state = outcome === "sold" && lane.sold > race.units ? "over" : outcome;
  const titles = { sold: words.dotSold, over: words.dotOver, refused: words.dotRefused };
  const dot = lane.dots[buyer];
  dot.dataset.state = state;
  dot.title = titles[state](buyer + 1, Math.round(ms));
  showCount(way, countText(way));
}

function showCount(way, text) {
  const count = find(`race-${way}-count`);
  setText(count, text);
  count.dataset.over = race[way].sold > race.units;
  // The count is the text alternative of the dots.
  find(`race-${way}`).setAttribute("aria-label", `${words[`${way}Title`]}. ${text}`);
}

function countText(way) {
  const { sold } = race[way];
  const over = sold - race.units;
  const text = words.soldOf(sold, race.units);
  return over > 0 ? `${text} ${words.oversold(over)}` : text;
}

function showEnd(end) {
  for (const way of ways) {
    race[way].sold = end[way].sold;
    showCount(way, countText(way));
  }
  setText(find("race-result"), words.raceEnd(countText("naive"), countText("optilock")));
}
