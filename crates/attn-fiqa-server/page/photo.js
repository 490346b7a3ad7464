// A card: one photo, its faces and its actions.

import { spoken } from './bands.js';
import { bestFace, scored } from './best.js';
import { element, svgElement } from './dom.js';
import { faceBox } from './face-box.js';
import { faceList } from './face-list.js';
import { placeLabels } from './labels.js';
import { mapImage } from './map.js';

/**
 * The card of a photo. `photo` is the record that main.js keeps; `update` reads its fields again:
 * `{ name, url, state, note, result, model, problem }`. `root` is the element.
 */
export class Card {
  root = element('li', { className: 'card', tabIndex: -1 });
  #photo;
  #actions;
  #frame = element('div', { className: 'frame' });
  #image;
  #overlay = svgElement('svg', {
    class: 'maps',
    preserveAspectRatio: 'none',
    'aria-hidden': 'true',
  });
  #boxes = element('div', { className: 'boxes', 'aria-hidden': 'true' });
  #badge = element('p', { className: 'badge', hidden: true });
  #body = element('div', { className: 'card-body' });
  #shown = null;

  /** `actions` has `remove(photo)` and `repeat(photo)`. */
  constructor(photo, id, actions) {
    this.#photo = photo;
    this.#actions = actions;
    this.root.id = id;
    this.#image = element('img', {
      src: photo.url,
      alt: '',
      onload: () => this.#fit(),
      onerror: () => this.#hideImage(),
    });
    this.#frame.append(this.#image, this.#overlay, this.#boxes);
    this.root.append(
      element(
        'div',
        { className: 'card-head' },
        element('h3', { textContent: photo.name, title: photo.name }),
        this.#badge,
        element(
          'button',
          {
            type: 'button',
            className: 'remove',
            'aria-label': `Remove ${photo.name}`,
            onclick: () => actions.remove(photo),
          },
          cross(),
        ),
      ),
      element('div', { className: 'viewer' }, this.#frame),
      this.#body,
    );
    new ResizeObserver(() => placeLabels(this.#boxes)).observe(this.#frame);
    this.update();
  }

  /** Shows the photo's current state. */
  update() {
    const { state, result } = this.#photo;
    this.root.dataset.state = state;
    this.#image.alt = this.#description();
    this.#body.replaceChildren(...this.#bodyParts());
    this.#fit();
    if (result !== this.#shown) {
      this.#shown = result;
      this.#boxes.replaceChildren(
        ...scored(this.#photo).map((face) => faceBox(face, result, this.#pick)),
      );
      placeLabels(this.#boxes);
    }
  }

  /** Draws the maps with one range for all photos, `[low, high]`; `null` removes them. */
  drawMaps(range) {
    const faces = range ? scored(this.#photo) : [];
    const images = faces.map((face) => mapImage(face, range)).filter(Boolean);
    this.#overlay.replaceChildren(...images);
  }

  /** Marks the photo as best with the given words; `null` removes the mark. */
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

  /** Gives the frame the photo's aspect ratio, so that boxes and maps fit on it. */
  #fit() {
    const { result } = this.#photo;
    const width = result?.width ?? this.#image.naturalWidth;
    const height = result?.height ?? this.#image.naturalHeight;
    if (!(width > 0 && height > 0)) return;
    this.#frame.style.aspectRatio = `${width} / ${height}`;
    this.root.style.setProperty('--proportion', width / height);
    this.#overlay.setAttribute('viewBox', `0 0 ${width} ${height}`);
  }

  /** Hides a damaged photo, or one in a format that only the service can read. */
  #hideImage() {
    this.root.classList.add('not-shown');
    this.update();
  }

  #bodyParts() {
    const { state, note, problem, result } = this.#photo;
    if (problem) return [this.#problem(problem)];
    if (state !== 'done') {
      return [
        element(
          'p',
          { className: 'progress' },
          element('span', { className: 'spinner', 'aria-hidden': 'true' }),
          note,
        ),
      ];
    }
    const parts = faceList(this.#photo, this.#pick);
    const notes = [
      result?.message,
      this.root.classList.contains('not-shown') &&
        'This browser cannot show this image format; the service can read it.',
    ];
    parts.push(
      ...notes
        .filter(Boolean)
        .map((text) => element('p', { className: 'small', textContent: text })),
    );
    return parts;
  }

  #problem({ title, advice, detail, repeatable }) {
    const again = repeatable
      ? element('button', {
          type: 'button',
          textContent: 'Try again',
          'aria-label': `Try again: ${this.#photo.name}`,
          onclick: () => this.#actions.repeat(this.#photo),
        })
      : null;
    return element(
      'div',
      { className: 'problem' },
      element('p', { className: 'problem-title', textContent: title }),
      advice ? element('p', { textContent: advice }) : null,
      detail ? element('p', { className: 'small', textContent: detail }) : null,
      again,
    );
  }

  /** Highlights one face, or shows all again. */
  #pick = (index) => {
    const picked = this.#frame.dataset.picked === String(index) ? null : String(index);
    if (picked === null) delete this.#frame.dataset.picked;
    else this.#frame.dataset.picked = picked;
    for (const box of this.#boxes.children) {
      box.classList.toggle('picked', box.dataset.face === picked);
    }
    for (const button of this.#body.querySelectorAll('.pick')) {
      button.setAttribute('aria-pressed', String(button.dataset.face === picked));
    }
  };
}

function cross() {
  const icon = svgElement('svg', {
    viewBox: '0 0 16 16',
    'aria-hidden': 'true',
    focusable: 'false',
  });
  icon.append(svgElement('path', { d: 'M3.5 3.5l9 9m0-9l-9 9' }));
  return icon;
}
