// Says at the top of the dashboard whether its figures are new.
//
// A connection is no sign of that: if the database fails, the server repeats its
// last tick to each new connection and then sends only comments. So the figures are
// live as long as ticks arrive that are newer than the ones before.

import { find, setText } from "./dom.js";
import { clock } from "./formats.js";
import { words } from "./words.js";

const OLD_MS = 5000;

let newest = null; // the time of the newest tick, by the clock of the server
let arrived = performance.now(); // when it arrived, or when the page was opened
let live = false; // the newest tick is not the first one, which may be a repeated one
let connected = true;

export function startConnection() {
  show();
  setInterval(show, 500);
}

// Returns whether the tick is newer than all before.
export function noteTick(at) {
  if (newest !== null && at <= newest) return false;
  live = newest !== null;
  newest = at;
  arrived = performance.now();
  connected = true;
  show();
  return true;
}

export function noteLoss() {
  connected = false;
  show();
}

function show() {
  const state = stateNow();
  const note = find("connection");
  note.dataset.state = state;
  const texts = {
    live: words.live,
    connecting: words.connecting,
    reconnecting: words.reconnecting,
    old: newest === null ? words.noFigures : words.oldFigures(clock(newest)),
  };
  // The text changes only with the state: a screen reader must not read it twice.
  setText(note, texts[state]);
}

function stateNow() {
  if (performance.now() - arrived > OLD_MS) return "old";
  if (!connected && newest !== null) return "reconnecting";
  return live ? "live" : "connecting";
}
