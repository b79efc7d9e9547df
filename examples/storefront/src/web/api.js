// Sends requests to the server: the bearer token, errors, and event streams.

import { locale } from "./language.js";
import { readServerTime } from "./server_time.js";

// After this time a request counts as unanswered.
const TIMEOUT_MS = 20_000;

let token = null;

export function signIn(newToken) {
  token = newToken;
}

// An error response of the server (application/problem+json). Callers decide by
// `code`; "network" means that there was no response.
export class Problem extends Error {
  constructor(status, code, details = {}, retryAfter = 0) {
    super(details.detail ?? details.title ?? code);
    this.status = status;
    this.code = code;
    this.details = details;
    this.retryAfter = retryAfter;
  }
}

export async function call(method, path, { body, headers } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  try {
    const response = await send(method, path, { body, headers, signal: stop.signal });
    return await readJson(response);
  } finally {
    clearTimeout(timer);
  }
}

// Reads server-sent events until the stream ends. EventSource cannot send an
// Authorization header, so this reads the stream of a fetch.
export async function listen(method, path, { body, signal, onEvent }) {
  const headers = { Accept: "text/event-stream" };
  const response = await send(method, path, { body, headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(noAnswer);
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) readEvent(block, onEvent);
  }
}

function readEvent(block, onEvent) {
  let name = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).trim());
  }
  // A block without data is a comment that keeps the connection alive.
  if (data.length > 0) onEvent(name, JSON.parse(data.join("\n")));
}

async function send(method, path, { body, headers, signal }) {
  const request = { method, signal, cache: "no-store", headers: { "Accept-Language": locale, ...headers } };
  if (token) request.headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  const response = await fetch(path, request).catch(noAnswer);
  readServerTime(response);
  if (!response.ok) throw await readProblem(response);
  return response;
}

async function readJson(response) {
  if (response.status === 204) return null;
  // An incomplete body leaves the outcome unknown, as no response does.
  const body = await response.json().catch(noAnswer);
  // An earlier request has had this effect, and this one none.
  if (response.headers.get("Idempotent-Replayed") === "true") body.replayed = true;
  return body;
}

async function readProblem(response) {
  // A proxy may answer with HTML. Then only the status is known.
  const details = await response.json().catch(() => ({}));
  const retryAfter = Number.parseInt(response.headers.get("Retry-After"), 10) || 0;
  return new Problem(response.status, details.code ?? "unknown", details, retryAfter);
}

function noAnswer() {
  throw new Problem(0, "network");
}
