// The attempt to buy a cart, which makes a retry safe.
//
// The server makes one order of each version of a cart. So a retry names the
// version of the first request, even if the cart has changed since: it gets the
// order of the first request, or buys nothing. The attempt is kept in
// sessionStorage, where it survives a reload during a checkout, until the outcome
// is known or the shopper changes the cart.

// One attempt for each user: that of one user must not be sent for another.
const nameFor = (user) => `barro.attempt.${user}`;

// The attempt whose outcome is not known: { tag, address }, or null.
export function open(user) {
  return JSON.parse(sessionStorage.getItem(nameFor(user)));
}

// Returns the ETag to send; must be called just before the request. `tag` is that
// of the cart that the page shows.
export function begin(user, address, tag) {
  const first = open(user)?.tag ?? tag;
  sessionStorage.setItem(nameFor(user), JSON.stringify({ tag: first, address }));
  return first;
}

export function finish(user) {
  sessionStorage.removeItem(nameFor(user));
}
