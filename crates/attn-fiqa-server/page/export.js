// Formats the results as text and copies it.

import { facesOf } from './best.js';

/** Arrays of hundreds of numbers, and values only needed to draw them. */
const EXCLUDED_KEYS = ['map', 'map_side', 'crop_transform', 'embedding'];

/** The service's answers with photo names, as JSON. */
export function toJson(photos) {
  const images = answered(photos).map(({ name, result }) => ({
    ...result,
    name,
    faces: (result.faces ?? []).map(shortened),
  }));
  const model = photos.find((photo) => photo.model)?.model ?? null;
  return JSON.stringify({ model, images }, null, 2);
}

/**
 * One row per face, as `attn-fiqa score --format csv` writes it: RFC 4180 with line feeds. The
 * photo's name comes first, then the columns of the answers in their order.
 */
export function toCsv(photos) {
  const rows = answered(photos).flatMap(({ name, result }) => {
    const faces = facesOf({ result });
    if (faces.length === 0) {
      return [{ path: name, status: result.status, quality: -1, message: result.message }];
    }
    const message = (face) => face.message || result.message;
    return faces.map((face) => ({ path: name, ...shortened(face), message: message(face) }));
  });
  const found = new Set(rows.flatMap(Object.keys));
  const columns = ['path', 'face', 'status', 'score', 'quality', ...found].filter(
    (name, index, all) => all.indexOf(name) === index && name !== 'message',
  );
  columns.push('message');
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  return lines.map((cells) => `${cells.map(cell).join(',')}\n`).join('');
}

function answered(photos) {
  return photos.filter((photo) => photo.result);
}

function shortened(face) {
  return Object.fromEntries(Object.entries(face).filter(([name]) => !EXCLUDED_KEYS.includes(name)));
}

function cell(value) {
  if (value === null || value === undefined) return '';
  const text = Array.isArray(value) ? value.map(item).join(' ') : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One of several values of a cell: a weak region, or a cause and its strength. */
function item(value) {
  return typeof value === 'object' ? `${value.cause}:${value.strength.toFixed(2)}` : value;
}

/** Copies a text and returns whether that succeeded. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard object is missing over plain HTTP, or its use is not allowed.
    return copyFromField(text);
  }
}

function copyFromField(text) {
  const field = document.createElement('textarea');
  const focused = document.activeElement;
  field.value = text;
  field.className = 'hidden';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  focused?.focus();
  return done;
}
