// The Idempotency-Key of an attempt to buy.
//
// The key makes a retry safe: the server makes one order for one key, however
// often it is sent. So the key is made once per attempt, and it is kept in
// sessionStorage: it survives a reload in the middle of a checkout.
//
// A key is thrown away when its story is over:
// - the order is there (finish), or the server does not want the key (finish);
// - the server refused, and then the shopper changed something (changed).
// While we do not know the outcome, the key stays, whatever the shopper does.
// Otherwise the shopper might buy twice.

// One attempt for each user: a key of Ana must not be sent by Luis.
const nameFor = (user) => `barro.attempt.${user}`;

// The open attempt: { key, address, outcome: "unknown" | "refused" }, or null.
export function open(user) {
  return JSON.parse(sessionStorage.getItem(nameFor(user)));
}

// Call this just before the request is sent. Returns the key to send. The
// address is kept too, because the key stands for cart and address together.
export function begin(user, address) {
  const key = open(user)?.key ?? newKey();
  save(user, { key, address, outcome: "unknown" });
  return key;
}

// The server surely did not make an order (400 or 409).
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
