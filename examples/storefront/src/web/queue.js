// Requests that run one after the other: two quick clicks keep their order, and a
// change of the shopper waits for the requests before it.

let last = Promise.resolve();

export function inOrder(work) {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}
