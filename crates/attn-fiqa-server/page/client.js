// Sends one photo to the service and returns its answer.

/** Columns for the labels, the table and copying. */
const COLUMNS = 'band,landmarks,size,match_probability';

/**
 * Columns that not every model has. The last one is dropped each time the service answers that
 * its model does not have a requested column.
 */
let optional = ['map', 'main_cause,causes,weak_regions'];

/**
 * How often a request that was refused under load or cut off is retried. A busy service may close
 * a connection before the photo is sent, and the browser may then not see its answer.
 */
const MAX_RETRIES = { busy: 5, 'cut-off': 2 };

/** The longest wait before an automatic retry, in seconds. */
const MAX_WAIT = 60;

/**
 * Why there is no answer. `kind` is `unauthorized`, `busy`, `too-large`, `unsupported`, `refused`,
 * `failed`, `cut-off` or `gone`. If present, `detail` is the service's own message, `retryAfter`
 * the number of seconds it asks to wait, and `code` its name for the error.
 */
export class RequestError extends Error {
  constructor(kind, { detail = null, code = null, requestId = null, retryAfter = null } = {}) {
    super(detail ?? kind);
    this.kind = kind;
    this.detail = detail;
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/**
 * Scores one photo. `onWait(reason, seconds, attempt, of)` is called before each retry; the
 * reason is `busy` or `cut-off`.
 *
 * Returns `{ model, image }`: the model's identifiers and the image's entry. Throws
 * `RequestError`, or an `AbortError` after `signal`.
 */
export async function score(file, { key, signal, onWait }) {
  const repeated = { busy: 0, 'cut-off': 0 };
  for (;;) {
    const asked = optional;
    try {
      return await answer(await send(file, asked, key, signal));
    } catch (error) {
      if (error.code === 'not-in-model' && asked.length > 0) {
        // Another photo may have been refused for the same reason in the meantime.
        if (optional === asked) optional = asked.slice(0, -1);
        continue;
      }
      const most = MAX_RETRIES[error.kind] ?? 0;
      const attempt = (repeated[error.kind] ?? 0) + 1;
      const wait = error.retryAfter ?? 2 ** (attempt - 1);
      if (attempt > most || wait > MAX_WAIT) throw error;
      repeated[error.kind] = attempt;
      onWait(error.kind, wait, attempt, most);
      await sleep(wait, signal);
    }
  }
}

async function send(file, asked, key, signal) {
  const headers = { 'content-type': file.type || 'application/octet-stream' };
  if (key) headers['x-api-key'] = key;
  const url = `v1/score?columns=${[COLUMNS, ...asked].join(',')}`;
  try {
    return await fetch(url, { method: 'POST', body: file, headers, signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    // A service that refuses a large body closes the connection before the body is sent. The
    // browser reports this like an unreachable service.
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
  throw new RequestError(kindOf(response.status), {
    detail: body.error?.message ?? null,
    code: body.error?.code ?? null,
    requestId: body.request_id ?? null,
    retryAfter: retryAfter(response),
  });
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
