// The clock of the server. That of the shopper's device may be wrong.

let ahead = 0; // milliseconds

// Each response has the time of the server, rounded down to a second. That second is
// added, so that the time left is never shown too long.
export function readServerTime(response) {
  const date = Date.parse(response.headers.get("Date"));
  if (Number.isFinite(date)) ahead = date + 1000 - Date.now();
}

export function serverNow() {
  return Date.now() + ahead;
}
