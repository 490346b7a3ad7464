// Describes problems in words: a title and what to do.

const BY_STATUS = {
  'no-face': [
    'No face found',
    'Use a photo in which the face is large enough, upright and not turned away.',
  ],
  'broken-image': ['This file is damaged', 'Copy or download it again.'],
  'not-an-image': ['This is not a photo', 'Use JPEG, PNG, WebP or another image format.'],
  'unsupported-image': [
    'This kind of image cannot be read',
    'Save it as JPEG or PNG and add it again.',
  ],
  'too-large': ['This photo is too large', 'Add a smaller version of it.'],
  'wrong-size': ['This image has the wrong size', 'Aligned crops are 112×112 pixels.'],
  'bad-landmarks': [
    'The face found here cannot be aligned',
    'Use a photo in which both eyes and the mouth can be seen.',
  ],
};

const BY_KIND = {
  unauthorized: ['Waiting for an API key', 'Enter the key in the form above.'],
  busy: ['The service is too busy', 'Try again in a moment.'],
  'too-large': BY_STATUS['too-large'],
  unsupported: BY_STATUS['unsupported-image'],
  refused: ['The service refused this photo', null],
  failed: ['The service failed on this photo', 'Try again; if it happens again, report it.'],
  'cut-off': [
    'The service stopped receiving this photo',
    'It may be too large. Add a smaller version of it, or try again.',
  ],
  gone: ['The service cannot be reached', 'Check that it is running and try again.'],
};

/** Kinds of failed requests that may succeed when retried. */
const RETRYABLE = ['busy', 'failed', 'cut-off', 'gone'];

/**
 * Why an image has no score, or `null` if it has one:
 * `{ title, advice, detail, repeatable }`.
 */
export function problemOfImage(image) {
  if (image.status === 'ok') return null;
  return problemOfStatus(image.status, image.message ?? null);
}

/** The same for a face: one that was found but has no score. */
export function problemOfFace(face) {
  return typeof face.score === 'number' ? null : problemOfStatus(face.status, face.message ?? null);
}

function problemOfStatus(status, detail) {
  const [title, advice] = BY_STATUS[status] ?? [`No score (${status})`, null];
  // The service's message also says what to do, unless it only repeats the title.
  if (status === 'no-face' || !detail) return { title, advice, detail: null, repeatable: false };
  return { title, advice: sentence(detail), detail: null, repeatable: false };
}

/** A service message, which starts in lower case and has no full stop, as a sentence. */
function sentence(text) {
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}

/** The same for a request that failed: a `RequestError`. */
export function problemOfRequest(error) {
  const [title, advice] = BY_KIND[error.kind] ?? BY_KIND.failed;
  const detail = error.requestId
    ? `${sentence(error.detail ?? 'no message')} Request ${error.requestId}.`
    : error.detail && sentence(error.detail);
  return { title, advice, detail, repeatable: RETRYABLE.includes(error.kind) };
}

/** The same for a file that is not an image according to the browser, and is not sent. */
export function problemOfFile(file) {
  if (!file.type || file.type.startsWith('image/')) return null;
  return problemOfStatus(
    'not-an-image',
    `the file is of type ${file.type}: use JPEG, PNG, WebP or another image format`,
  );
}
