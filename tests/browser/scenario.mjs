// A test with a time limit. Each one starts with empty carts and ends with quiet consoles.

import { after, afterEach, before, beforeEach, test } from "node:test";

import { closeAll, emptyCart, start, stop } from "./support.mjs";

before(start, { timeout: 120_000 });
after(stop, { timeout: 60_000 });
// A step that hangs fails with its test, and does not stop all tests.
beforeEach(() => Promise.all([emptyCart("Ana"), emptyCart("Luis")]), { timeout: 30_000 });
afterEach(closeAll, { timeout: 30_000 });

export const scenario = (name, run) => test(name, { timeout: 60_000 }, run);
