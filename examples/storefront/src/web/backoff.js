// Pauses between attempts that fail: they grow, and differ between the clients.

const FIRST_MS = 1000;

// Returns milliseconds, at most `most`.
export function pauseAfter(failures, most) {
  return Math.min(FIRST_MS * 2 ** (failures - 1), most) * (0.75 + Math.random() / 4);
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
