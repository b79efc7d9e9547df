'use strict';

// What the load tests need beside their steps: a shopper of one's own for each virtual user, a key for
// each attempt to buy, and counters of what came of it. Artillery runs this in one thread or in several.

const { randomUUID } = require('node:crypto');
const os = require('node:os');

// Artillery's own number of threads: a shopper belongs to one of them.
const threads = Math.max(1, os.cpus().length - 1);
const thread = Number(process.env.LOCAL_WORKER_ID ?? 1) - 1;
let shoppers = 0;

/** Of demo-load-1 to demo-load-5000, the next one: `first` is where this test's begin. */
async function shopper(context) {
  const first = Number(context.vars.first ?? 1);
  const number = first + ((shoppers++ * threads + (thread % threads)) % (5001 - first));
  context.vars.token = `demo-load-${number}`;
  context.vars.key = randomUUID();
}

/** Counts the answer of a checkout. Every counter is there, also at 0: `ensure` needs them all. */
async function count(request, response, context, events) {
  const { statusCode: status } = response;
  let code;
  try {
    code = JSON.parse(response.body).code;
  } catch {
    // No JSON: the status says enough.
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

/** Counts faults of the other requests. */
async function watch(request, response, context, events) {
  events.emit('counter', 'answers.5xx', Number(response.statusCode >= 500));
}

// Those who are at the gate, until the last one has come.
let waiting = [];

/** Waits for `crowd` shoppers, so that all of them check out at once. All are in one thread. */
async function gate(request, context) {
  await new Promise((open) => {
    waiting.push(open);
    if (waiting.length === Number(context.vars.crowd)) {
      waiting.forEach((go) => go());
      waiting = [];
    }
  });
}

/** What is missing of `units`, or too much. */
async function missing(request, context) {
  const { stock, reserved, units } = context.vars;
  request.json = { delta: Number(units) - (Number(stock) - Number(reserved)), reason: 'load test' };
}

/** Whether it is as many already: a change by nothing is refused. */
function differs(context, next) {
  const { stock, reserved, units } = context.vars;
  next(Number(stock) - Number(reserved) !== Number(units));
}

module.exports = { shopper, count, watch, gate, missing, differs };
