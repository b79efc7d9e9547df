'use strict';

// Functions of the load tests: a shopper for each virtual user, a key for each attempt to buy, and counters of
// the outcomes. Artillery runs them in one thread or in several.

const { randomUUID } = require('node:crypto');
const os = require('node:os');

// The number of Artillery's threads. Each thread has shoppers of its own.
const threads = Math.max(1, os.cpus().length - 1);
const thread = Number(process.env.LOCAL_WORKER_ID ?? 1) - 1;
let shoppers = 0;

/** Chooses the next of demo-load-1 to demo-load-5000, beginning with number `first`. */
async function shopper(context) {
  const first = Number(context.vars.first ?? 1);
  const number = first + ((shoppers++ * threads + (thread % threads)) % (5001 - first));
  context.vars.token = `demo-load-${number}`;
  context.vars.key = randomUUID();
}

/** Counts the outcome of a checkout. Counters are emitted at 0 too, because `ensure` needs them all. */
async function count(request, response, context, events) {
  const { statusCode: status } = response;
  let code;
  try {
    code = JSON.parse(response.body).code;
  } catch {
    // Without JSON the status is enough.
  }
  const refused = status === 400 && code === 'insufficient-stock';
  const known = status === 201 || refused || status === 409;
  events.emit('counter', 'checkout.sold', Number(status === 201));
  events.emit('counter', 'checkout.refused', Number(refused));
  events.emit('counter', 'checkout.conflict', Number(status === 409));
  events.emit('counter', 'checkout.unexpected', Number(!known));
  events.emit('counter', 'answers.5xx', Number(status >= 500));
  events.emit('histogram', 'checkout.ms', response.timings.phases.firstByte);
}

/** Counts the failures of other requests. */
async function watch(request, response, context, events) {
  events.emit('counter', 'answers.5xx', Number(response.statusCode >= 500));
}

// The shoppers that wait at the gate.
let waiting = [];

/** Waits until `crowd` shoppers have arrived, so that all check out at once. All must be in one thread. */
async function gate(request, context) {
  await new Promise((open) => {
    waiting.push(open);
    if (waiting.length === Number(context.vars.crowd)) {
      waiting.forEach((go) => go());
      waiting = [];
    }
  });
}

/** Sets the body to the difference between `units` and the available units. */
async function missing(request, context) {
  const { stock, reserved, units } = context.vars;
  request.json = { delta: Number(units) - (Number(stock) - Number(reserved)), reason: 'load test' };
}

/** Skips the request if there is no difference, which the shop would refuse. */
function differs(context, next) {
  const { stock, reserved, units } = context.vars;
  next(Number(stock) - Number(reserved) !== Number(units));
}

module.exports = { shopper, count, watch, gate, missing, differs };
