// One photo to the service and its answer back.

/** Map and band are drawn; the rest is for the table and for copying. */
const COLUMNS = 'band,landmarks,size,map,match_probability';

/** How often a request that was refused for load is repeated. */
const MAX_RETRIES = 5;

/** The longest wait in seconds before a repetition that nobody asked for. */
const MAX_WAIT = 60;

/**
 * Why there is no answer. `kind` is `unauthorized`, `busy`, `too-large`, `unsupported`, `refused`,
 * `failed`, `cut-off` or `gone`; `detail` is the service's own message, if there is one.
 */
export class RequestError extends Error {
  constructor(kind, detail = null, requestId = null) {
    super(detail ?? kind);
    this.kind = kind;
    this.detail = detail;
    this.requestId = requestId;
  }
}

/**
 * Scores one photo. `onWait(seconds, attempt, of)` is called before each repetition of a request
 * that the service was too busy for.
 *
 * Returns `{ model, image }`: the model's identifiers and the entry of the image. Throws
 * `RequestError`, or an `AbortError` after `signal`.
 */
export async function score(file, { key, signal, onWait }) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await send(file, key, signal);
    if (response.status === 429 || response.status === 503) {
      const wait = retryAfter(response) ?? 2 ** (attempt - 1);
      if (attempt <= MAX_RETRIES && wait <= MAX_WAIT) {
        onWait(wait, attempt, MAX_RETRIES);
        await sleep(wait, signal);
        continue;
      }
    }
    return answer(response);
  }
}

async function send(file, key, signal) {
  const headers = { 'content-type': file.type || 'application/octet-stream' };
  if (key) headers['x-api-key'] = key;
  const url = `v1/score?columns=${COLUMNS}`;
  try {
    return await fetch(url, { method: 'POST', body: file, headers, signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    // A service that refuses a large body closes the connection before the body is sent, which
    // the browser reports like a service that is gone.
    throw new RequestError((await isAlive(signal)) ? 'cut-off' : 'gone');
  }
}

async function isAlive(signal) {
  try {
    return (await fetch('healthz', { signal, cache: 'no-store' })).ok;
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    return false;
  }
}

async function answer(response) {
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    body = {};
  }
  const image = body.images?.[0];
  if (image) return { model: body.model ?? null, image };
  const detail = body.error?.message ?? null;
  throw new RequestError(kindOf(response.status), detail, body.request_id ?? null);
}

function kindOf(status) {
  const kinds = {
    401: 'unauthorized',
    413: 'too-large',
    415: 'unsupported',
    429: 'busy',
    503: 'busy',
  };
  if (kinds[status]) return kinds[status];
  return status >= 400 && status < 500 ? 'refused' : 'failed';
}

/** Seconds of a Retry-After header, which is a number or a date; `null` without one. */
function retryAfter(response) {
  const header = response.headers.get('retry-after');
  if (header === null) return null;
  const seconds = /^\s*\d+\s*$/.test(header)
    ? Number(header)
    : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(Math.ceil(seconds), 0) : null;
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', aborted);
      resolve();
    }, seconds * 1000);
    signal.addEventListener('abort', aborted, { once: true });
  });
}
