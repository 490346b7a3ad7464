// The page: takes photos and shows their results.

import { decimal, spoken } from './bands.js';
import { bestFace, facesOf, ranked, scored } from './best.js';
import { setUpCamera } from './camera.js';
import { RequestError, score } from './client.js';
import { byId } from './dom.js';
import { copy, toCsv, toJson } from './export.js';
import { watchIntake } from './intake.js';
import { rangeOfMaps } from './map.js';
import { problemOfFile, problemOfImage, problemOfRequest } from './messages.js';
import { Card } from './photo.js';
import { Queue } from './queue.js';
import { FaceTable } from './table.js';

/** Maximum number of photos on the page. For more, use the program. */
const MAX_PHOTOS = 200;

/** Maximum number of concurrent requests, so that one page leaves room for others. */
const MAX_REQUESTS = 2;

/** Why a request is retried. */
const REASONS = { busy: 'The service is busy.', 'cut-off': 'The connection was interrupted.' };

/** Time over which changes are collected, in milliseconds. */
const REFRESH_DELAY = 40;

/**
 * NASA's portrait of Eileen Collins (public domain, see examples/README.md): unchanged, with 6 % of
 * the light, and blurred by a Gaussian of 4 pixels.
 */
const EXAMPLES = ['example.jpg', 'example-dark.jpg', 'example-blurred.jpg'];

/**
 * In order of arrival: `{ name, file, url, abort, card, state, note, result, model,
 * problem }`. `state` is `waiting`, `sending` or `done`. Until there is an answer, `result` (the
 * service's entry) and `problem` are `null`; an image without a score has both.
 */
let photos = [];
let count = 0;
let key = null;
/** Whether the service has asked for a key since the last one was entered. */
let keyWanted = false;
const queue = new Queue(MAX_REQUESTS);
const table = new FaceTable();

function add(files) {
  const room = MAX_PHOTOS - photos.length;
  showProblem(
    files.length > room
      ? `This page takes at most ${MAX_PHOTOS} photos: ${files.length - room} were left out. For more, use the program (attn-fiqa score FOLDER).`
      : null,
  );
  const added = files.slice(0, room).map(newPhoto);
  byId('photos').append(...added.map((photo) => photo.card.root));
  refresh();
}

function newPhoto(file) {
  const photo = {
    name: uniqueName(file.name),
    file,
    url: URL.createObjectURL(file),
    abort: new AbortController(),
    state: 'waiting',
    note: 'Waiting',
    result: null,
    model: null,
    problem: problemOfFile(file),
  };
  if (photo.problem) photo.state = 'done';
  photos.push(photo);
  count += 1;
  photo.card = new Card(photo, `photo-${count}`, { remove, repeat });
  if (!photo.problem) enqueue(photo);
  return photo;
}

/** The name, with a number if the page already has it, so that rows can be told apart. */
function uniqueName(name) {
  const taken = new Set(photos.map((photo) => photo.name));
  if (!taken.has(name)) return name;
  const [, stem, extension] = /^(.*?)(\.[^.]*)?$/s.exec(name);
  for (let number = 2; ; number += 1) {
    const numbered = `${stem} ${number}${extension ?? ''}`;
    if (!taken.has(numbered)) return numbered;
  }
}

function enqueue(photo) {
  Object.assign(photo, {
    state: 'waiting',
    note: 'Waiting',
    problem: null,
    keyMissing: false,
    abort: new AbortController(),
  });
  queue.add(() => send(photo, photo.abort.signal));
}

async function send(photo, signal) {
  if (signal.aborted) return;
  const usedKey = key;
  try {
    // Do not send a photo that would be refused.
    if (keyWanted) throw new RequestError('unauthorized');
    change(photo, { state: 'sending', note: 'Scoring' });
    const onWait = (reason, seconds, attempt, of) =>
      change(photo, {
        note: `${REASONS[reason]} Trying again in ${seconds} s (${attempt} of ${of})`,
      });
    const { model, image } = await score(photo.file, { key: usedKey, signal, onWait });
    change(photo, { state: 'done', result: image, model, problem: problemOfImage(image) });
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof RequestError)) throw error;
    const unauthorized = error.kind === 'unauthorized';
    if (unauthorized && usedKey !== key) {
      // Another key was entered in the meantime.
      enqueue(photo);
      return;
    }
    change(photo, { state: 'done', problem: problemOfRequest(error), keyMissing: unauthorized });
    if (unauthorized) askForKey();
  }
}

function change(photo, fields) {
  Object.assign(photo, fields);
  photo.card.update();
  refreshSoon();
}

function repeat(photo) {
  enqueue(photo);
  photo.card.update();
  refresh();
  photo.card.root.focus();
}

function remove(photo) {
  const next = photo.card.root.nextElementSibling ?? photo.card.root.previousElementSibling;
  drop(photo);
  photos = photos.filter((other) => other !== photo);
  refresh();
  // Otherwise the focus would move to the top of the page.
  (next?.querySelector('.remove') ?? byId('choose')).focus();
}

function clear() {
  photos.forEach(drop);
  photos = [];
  showProblem(null);
  refresh();
  byId('choose').focus();
}

/** Ends a photo's request and frees its memory. */
function drop(photo) {
  photo.abort.abort();
  URL.revokeObjectURL(photo.url);
  photo.card.root.remove();
}

let timer = null;

/** Many photos can change at once, and each change affects the whole table. */
function refreshSoon() {
  timer ??= setTimeout(refresh, REFRESH_DELAY);
}

/** Updates everything that depends on all photos: summary, best photo, maps and table. */
function refresh() {
  clearTimeout(timer);
  timer = null;
  const any = photos.length > 0;
  document.body.classList.toggle('has-photos', any);
  for (const id of ['results', 'table-section']) byId(id).hidden = !any;
  const list = byId('photos');
  list.classList.toggle('single', photos.length === 1);
  list.setAttribute(
    'aria-busy',
    photos.some((photo) => photo.state !== 'done'),
  );
  markBest();
  orderCards();
  drawMaps();
  table.show(photos);
  say(byId('summary'), summary());
  const model = photos.find((photo) => photo.model)?.model;
  byId('model').hidden = !model;
  if (model)
    byId('model').textContent =
      `Model: ${[model.name, model.calibration].filter(Boolean).join(', calibration ')}`;
}

/** Sets the text of a live region only if it changed, so that it is not announced again. */
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function summary() {
  const pending = photos.filter((photo) => photo.state !== 'done').length;
  if (pending > 0) return `Scoring ${plural(pending, 'photo')}…`;
  const faces = photos.flatMap(facesOf);
  const parts = [`${plural(photos.length, 'photo')}, ${plural(faces.length, 'face')}.`];
  const [best] = ranked(photos);
  if (best && photos.length > 1) parts.push(`Best: ${best.name}, ${spoken(bestFace(best))}.`);
  else if (faces.length > 1)
    parts.push(`Best face: ${bestFace(best).face + 1}, ${spoken(bestFace(best))}.`);
  else if (best) parts.push(`${capital(spoken(bestFace(best)))}.`);
  const failed = photos.filter((photo) => photo.problem);
  if (failed.length === 1) parts.push(`${failed[0].name}: ${failed[0].problem.title}.`);
  else if (failed.length > 1) parts.push(`${failed.length} photos have no score.`);
  return parts.join(' ');
}

function plural(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function markBest() {
  const order = ranked(photos);
  const top = order.length > 1 ? bestFace(order[0]).score : null;
  const best = order.filter((photo) => bestFace(photo).score === top);
  const words = best.length > 1 ? 'Equally good' : `Best of ${order.length}`;
  for (const photo of photos) photo.card.mark(best.includes(photo) ? words : null);
}

/** Puts the cards into the requested order, moving only those that are out of place. */
function orderCards() {
  const order = ranked(photos);
  byId('order-control').hidden = order.length < 2;
  const wanted = byId('best-first').checked
    ? [...order, ...photos.filter((photo) => !order.includes(photo))]
    : photos;
  const list = byId('photos');
  wanted.forEach((photo, index) => {
    const there = list.children[index];
    if (there !== photo.card.root) list.insertBefore(photo.card.root, there ?? null);
  });
}

let drawn = '';

function drawMaps() {
  const range = rangeOfMaps(photos.flatMap(scored));
  byId('map-control').hidden = byId('legend').hidden = range === null;
  if (range) {
    byId('legend-low').textContent = `less (${decimal(range[0], 1)})`;
    byId('legend-high').textContent = `more (${decimal(range[1], 1)})`;
  }
  // All maps share one range: a new range redraws them all.
  const everything = JSON.stringify(range);
  for (const photo of photos) {
    if (everything === drawn && photo.drawnResult === photo.result) continue;
    photo.drawnResult = photo.result;
    photo.card.drawMaps(range);
  }
  drawn = everything;
}

function showOpacity() {
  const { value } = byId('map-opacity');
  byId('map-value').textContent = `${value}\u00a0%`;
  byId('photos').style.setProperty('--map-opacity', value / 100);
}

function askForKey() {
  const form = byId('key-form');
  keyWanted = true;
  say(byId('key-problem'), key ? 'The service did not accept this key.' : '');
  if (form.hidden) {
    form.hidden = false;
    byId('key').focus();
  }
}

function takeKey(event) {
  event.preventDefault();
  key = byId('key').value.trim();
  keyWanted = false;
  byId('key-form').hidden = true;
  byId('key').value = '';
  for (const photo of photos.filter((photo) => photo.keyMissing)) {
    enqueue(photo);
    photo.card.update();
  }
  refresh();
  byId('results-title').focus();
}

async function addExamples() {
  try {
    const files = await Promise.all(
      EXAMPLES.map(async (name) => {
        const response = await fetch(name);
        if (!response.ok) throw new Error(`${name}: ${response.status}`);
        return new File([await response.blob()], name, { type: 'image/jpeg' });
      }),
    );
    add(files);
  } catch {
    showProblem('The examples could not be loaded: the service cannot be reached.');
  }
}

function showProblem(text) {
  byId('add-problem').hidden = text === null;
  byId('add-problem').textContent = text ?? '';
}

async function copyAs(form, text) {
  const done = await copy(text);
  byId('copied').textContent = done ? `Copied as ${form}` : 'The browser does not allow copying';
}

watchIntake(add, showProblem);
setUpCamera(add);
byId('example').onclick = addExamples;
byId('clear').onclick = clear;
byId('key-form').onsubmit = takeKey;
byId('best-first').onchange = orderCards;
byId('map-opacity').oninput = showOpacity;
byId('copy-json').onclick = () => copyAs('JSON', toJson(photos));
byId('copy-csv').onclick = () => copyAs('CSV', toCsv(photos));
showOpacity();
