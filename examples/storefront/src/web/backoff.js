// Pauses between attempts that fail: they grow, and differ between the clients.

const FIRST_MS = 1000;
const MAX_MS = 15_000;

export function pauseAfter(failures) {
  return Math.min(FIRST_MS * 2 ** (failures - 1), MAX_MS) * (0.75 + Math.random() / 4);
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
