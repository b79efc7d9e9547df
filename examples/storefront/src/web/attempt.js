// The Idempotency-Key of an attempt to buy.
//
// The key makes a retry safe: the server creates one order for each key. So a key
// is created once per attempt, and is kept in sessionStorage, where it survives a
// reload during a checkout.
//
// A key is deleted:
// - when the order exists, or the server rejects the key (finish);
// - when the server refused the order and the shopper then changes something (changed).
// While the outcome is unknown, the key is kept: with a new one the shopper might
// buy twice.

// One attempt for each user: a key of one user must not be sent for another.
const nameFor = (user) => `barro.attempt.${user}`;

// The open attempt: { key, address, outcome: "unknown" | "refused" }, or null.
export function open(user) {
  return JSON.parse(sessionStorage.getItem(nameFor(user)));
}

// Returns the key to send; must be called just before the request. The address is
// stored too, because a key belongs to one cart and one address.
export function begin(user, address) {
  const key = open(user)?.key ?? newKey();
  save(user, { key, address, outcome: "unknown" });
  return key;
}

// The server created no order (400 or 409).
export function refused(user) {
  save(user, { ...open(user), outcome: "refused" });
}

// The shopper changed the cart or the address.
export function changed(user) {
  if (open(user)?.outcome === "refused") finish(user);
}

export function finish(user) {
  sessionStorage.removeItem(nameFor(user));
}

function save(user, attempt) {
  sessionStorage.setItem(nameFor(user), JSON.stringify(attempt));
}

function newKey() {
  // randomUUID exists only on https and localhost.
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
