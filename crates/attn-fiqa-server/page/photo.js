// One photo and its faces: a card.

import { bandMeaning, decimal, qualityOf, spoken } from './bands.js';
import { bestFace, facesOf, scored } from './best.js';
import { causesInWords } from './causes.js';
import { element, svgElement } from './dom.js';
import { placeLabels } from './labels.js';
import { mapImage } from './map.js';
import { problemOfFace } from './messages.js';

/** Faces that are listed at once; the others are a click away. */
const LISTED = 5;

/**
 * The card of a photo: `{ root, update() }`. `photo` is the record that main.js keeps, whose
 * fields `update` reads anew: `{ name, url, state, note, result, model, problem }`.
 */
export class Card {
  root = element('li', { className: 'card', tabIndex: -1 });
  #photo;
  #actions;
  #frame = element('div', { className: 'frame' });
  #image;
  #overlay = svgElement('svg', { class: 'maps', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  #boxes = element('div', { className: 'boxes', 'aria-hidden': 'true' });
  #badge = element('p', { className: 'badge', hidden: true });
  #body = element('div', { className: 'card-body' });
  #shown = null;

  /** `actions` has `remove(photo)` and `repeat(photo)`. */
  constructor(photo, id, actions) {
    this.#photo = photo;
    this.#actions = actions;
    this.root.id = id;
    this.#image = element('img', { src: photo.url, alt: '', onload: () => this.#fit(), onerror: () => this.#hideImage() });
    this.#frame.append(this.#image, this.#overlay, this.#boxes);
    this.root.append(
      element('div', { className: 'card-head' },
        element('h3', { textContent: photo.name, title: photo.name }),
        this.#badge,
        element('button', {
          type: 'button', className: 'remove', 'aria-label': `Remove ${photo.name}`,
          onclick: () => actions.remove(photo),
        }, cross())),
      element('div', { className: 'viewer' }, this.#frame),
      this.#body,
    );
    new ResizeObserver(() => placeLabels(this.#boxes)).observe(this.#frame);
    this.update();
  }

  /** Shows what became of the photo. */
  update() {
    const { state, result } = this.#photo;
    this.root.dataset.state = state;
    this.#image.alt = this.#description();
    this.#body.replaceChildren(...this.#bodyParts());
    this.#fit();
    if (result !== this.#shown) {
      this.#shown = result;
      this.#boxes.replaceChildren(...scored(this.#photo).map((face) => this.#box(face)));
      placeLabels(this.#boxes);
    }
  }

  /** Draws the maps with one range for all photos, `[low, high]`, or none for `null`. */
  drawMaps(range) {
    const faces = range ? scored(this.#photo) : [];
    const images = faces.map((face) => mapImage(face, range)).filter(Boolean);
    this.#overlay.replaceChildren(...images);
  }

  /** Marks the photo as the best, in the given words, or not with `null`. */
  mark(words) {
    this.root.classList.toggle('best', words !== null);
    this.#badge.hidden = words === null;
    this.#badge.textContent = words ?? '';
  }

  #description() {
    const { name } = this.#photo;
    const faces = scored(this.#photo);
    if (faces.length === 0) return name;
    if (faces.length === 1) return `${name}: one face, ${spoken(faces[0])}`;
    return `${name}: ${faces.length} faces, the best with ${spoken(bestFace(this.#photo))}`;
  }

  /** Gives the frame the photo's proportions, on which boxes and maps are placed. */
  #fit() {
    const { result } = this.#photo;
    const width = result?.width ?? this.#image.naturalWidth;
    const height = result?.height ?? this.#image.naturalHeight;
    if (!(width > 0 && height > 0)) return;
    this.#frame.style.aspectRatio = `${width} / ${height}`;
    this.root.style.setProperty('--proportion', width / height);
    this.#overlay.setAttribute('viewBox', `0 0 ${width} ${height}`);
  }

  /** A damaged photo, or of a format that this browser cannot show although the service reads it. */
  #hideImage() {
    this.root.classList.add('not-shown');
  }

  #bodyParts() {
    const { state, note, problem, result } = this.#photo;
    if (problem) return [this.#problem(problem)];
    if (state !== 'done') {
      return [element('p', { className: 'progress' },
        element('span', { className: 'spinner', 'aria-hidden': 'true' }), note)];
    }
    const parts = [...this.#faceList(), ...this.#unscored()];
    const notes = [
      result?.message,
      this.root.classList.contains('not-shown') && 'This browser cannot show this image format; the service can read it.',
    ];
    parts.push(...notes.filter(Boolean).map((text) => element('p', { className: 'small', textContent: text })));
    return parts;
  }

  #problem({ title, advice, detail, repeatable }) {
    const again = repeatable
      ? element('button', { type: 'button', textContent: 'Try again', 'aria-label': `Try again: ${this.#photo.name}`, onclick: () => this.#actions.repeat(this.#photo) })
      : null;
    return element('div', { className: 'problem' },
      element('p', { className: 'problem-title', textContent: title }),
      advice ? element('p', { textContent: advice }) : null,
      detail ? element('p', { className: 'small', textContent: detail }) : null,
      again);
  }

  #faceList() {
    const items = scored(this.#photo).map((face) => this.#listItem(face));
    if (items.length === 0) return [];
    const list = (some) => element('ol', { className: 'face-list' }, ...some);
    if (items.length <= LISTED + 1) return [list(items)];
    return [
      list(items.slice(0, LISTED)),
      element('details', {},
        element('summary', { textContent: `${items.length - LISTED} more faces` }),
        list(items.slice(LISTED))),
    ];
  }

  #unscored() {
    return facesOf(this.#photo).filter(problemOfFace).map((face) => {
      const { title, advice } = problemOfFace(face);
      return element('p', { className: 'small', textContent: `Face ${face.face + 1}: ${title}. ${advice ?? ''}` });
    });
  }

  #listItem(face) {
    const number = face.face + 1;
    const quality = qualityOf(face);
    const meaning = face.band && bandMeaning(face.band, this.#photo.model);
    const causes = causesInWords(face);
    const pick = element('button', {
      type: 'button', className: 'pick', textContent: number, 'aria-pressed': 'false',
      'aria-label': `Face ${number}: show it in the photo`,
      onclick: () => this.#pick(face.face),
    });
    pick.dataset.face = face.face;
    const figure = quality === null
      ? element('p', { className: 'figure' }, element('b', { textContent: decimal(face.score, 2) }), ' score, without a quality scale')
      : element('p', { className: 'figure' },
          element('span', { className: 'hidden', textContent: 'Quality ' }),
          element('b', { textContent: Math.round(quality) }), element('span', { className: 'of', textContent: '/100' }),
          face.band ? element('span', { className: 'band', textContent: face.band }) : null);
    return element('li', { className: `face ${face.band ?? ''}` },
      pick,
      element('div', {},
        figure,
        quality === null ? null : meter(quality),
        meaning ? element('p', { className: 'meaning', textContent: meaning }) : null,
        element('p', { className: 'small', textContent: measures(face) }),
        causes ? element('p', { className: 'causes', textContent: `Costs quality: ${causes}` }) : null));
  }

  #box(face) {
    const { width, height } = this.#photo.result;
    const quality = qualityOf(face);
    const figure = quality === null ? decimal(face.score, 2) : Math.round(quality);
    const box = element('div', { className: `box ${face.band ?? ''}`, onclick: () => this.#pick(face.face) },
      element('span', { className: 'label' },
        element('i', { textContent: face.face + 1 }),
        element('span', { textContent: [figure, face.band].filter(Boolean).join(' ') })));
    box.dataset.face = face.face;
    if (typeof face.box_x !== 'number') {
      // An aligned crop: the face is the whole image.
      box.classList.add('whole');
      return box;
    }
    // Coordinates are those of pixel centres.
    const percent = (fraction) => `${100 * fraction}%`;
    box.style.left = percent((face.box_x + 0.5) / width);
    box.style.top = percent((face.box_y + 0.5) / height);
    box.style.width = percent(face.box_width / width);
    box.style.height = percent(face.box_height / height);
    return box;
  }

  /** Shows one face among the others, or all again. */
  #pick(index) {
    const picked = this.#frame.dataset.picked === String(index) ? null : String(index);
    if (picked === null) delete this.#frame.dataset.picked;
    else this.#frame.dataset.picked = picked;
    for (const box of this.#boxes.children) box.classList.toggle('picked', box.dataset.face === picked);
    for (const button of this.#body.querySelectorAll('.pick')) {
      button.setAttribute('aria-pressed', String(button.dataset.face === picked));
    }
  }
}

/** Size and pose of a face, or an empty text for an aligned crop, which has none. */
function measures(face) {
  if (typeof face.inter_eye_distance !== 'number') return '';
  const [yaw, roll] = [decimal(face.yaw, 0), decimal(face.roll, 0)];
  return `Eyes ${decimal(face.inter_eye_distance, 0)} px apart, yaw ${yaw}°, roll ${roll}°`;
}

function meter(quality) {
  const fill = element('i');
  fill.style.width = `${Math.min(Math.max(quality, 0), 100)}%`;
  return element('div', { className: 'meter', 'aria-hidden': 'true' }, fill);
}

function cross() {
  const icon = svgElement('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' });
  icon.append(svgElement('path', { d: 'M3.5 3.5l9 9m0-9l-9 9' }));
  return icon;
}
