// Lists the faces of a photo with what is known about each.

import { bandMeaning, decimal, qualityOf } from './bands.js';
import { facesOf, scored } from './best.js';
import { advice, costs, weakRegions } from './causes.js';
import { element } from './dom.js';
import { problemOfFace } from './messages.js';

/** Number of faces listed at first; the rest are one click away. */
const LISTED = 5;

/**
 * Elements for all faces of a photo. A button in each calls `onPick` with the face's number,
 * counted from 0, which is also its `data-face`.
 */
export function faceList(photo, onPick) {
  const items = scored(photo).map((face) => listItem(face, photo.model, onPick));
  return [...shortened(items), ...facesOf(photo).filter(problemOfFace).map(unscored)];
}

function shortened(items) {
  if (items.length === 0) return [];
  const list = (some) => element('ol', { className: 'face-list' }, ...some);
  if (items.length <= LISTED + 1) return [list(items)];
  const summary = element('summary', { textContent: `${items.length - LISTED} more faces` });
  return [list(items.slice(0, LISTED)), element('details', {}, summary, list(items.slice(LISTED)))];
}

function unscored(face) {
  const { title, advice } = problemOfFace(face);
  return line('small', `Face ${face.face + 1}: ${title}. ${advice ?? ''}`);
}

function listItem(face, model, onPick) {
  const quality = qualityOf(face);
  return element(
    'li',
    { className: `face ${face.band ?? ''}` },
    pickButton(face, onPick),
    element(
      'div',
      {},
      quality === null ? scoreAlone(face) : figure(quality, face.band),
      quality === null ? null : meter(quality),
      line('meaning', face.band && bandMeaning(face.band, model)),
      ...reasons(face),
      line('small', measures(face)),
    ),
  );
}

function pickButton(face, onPick) {
  const number = face.face + 1;
  const button = element('button', {
    type: 'button',
    className: 'pick',
    textContent: number,
    'aria-pressed': 'false',
    'aria-label': `Face ${number}: show it in the photo`,
    onclick: () => onPick(face.face),
  });
  button.dataset.face = face.face;
  return button;
}

function figure(quality, band) {
  return element(
    'p',
    { className: 'figure' },
    element('span', { className: 'hidden', textContent: 'Quality ' }),
    element('b', { textContent: Math.round(quality) }),
    element('span', { className: 'of', textContent: '/100' }),
    band ? element('span', { className: 'band', textContent: band }) : null,
  );
}

function scoreAlone(face) {
  const score = element('b', { textContent: decimal(face.score, 2) });
  return element('p', { className: 'figure' }, score, ' score, without a quality scale');
}

function meter(quality) {
  const fill = element('i');
  fill.style.width = `${Math.min(Math.max(quality, 0), 100)}%`;
  return element('div', { className: 'meter', 'aria-hidden': 'true' }, fill);
}

/** What costs quality, where, and what to do. */
function reasons(face) {
  const [wrong, regions, todo] = [costs(face), weakRegions(face), advice(face)];
  if (wrong === null) return [];
  return [
    line('causes', `Costs quality: ${wrong}${regions ? `; weak regions: ${regions}` : ''}.`),
    line('advice', todo && `What to do: ${todo}.`),
  ];
}

/** Size and pose of a face, or `null` for an aligned crop, which has none. */
function measures(face) {
  if (typeof face.inter_eye_distance !== 'number') return null;
  const [yaw, roll] = [decimal(face.yaw, 0), decimal(face.roll, 0)];
  return `Eyes ${decimal(face.inter_eye_distance, 0)} px apart, yaw\u00a0${yaw}°, roll\u00a0${roll}°`;
}

function line(className, text) {
  return text ? element('p', { className, textContent: text }) : null;
}
