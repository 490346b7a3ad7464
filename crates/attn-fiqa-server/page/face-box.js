// The box of a face on the photo, with its label.

import { decimal, qualityOf } from './bands.js';
import { element } from './dom.js';

/** The box of a face in an image of `size.width` by `size.height` pixels. */
export function faceBox(face, size, onPick) {
  const quality = qualityOf(face);
  const figure = quality === null ? decimal(face.score, 2) : Math.round(quality);
  const box = element(
    'div',
    { className: `box ${face.band ?? ''}`, onclick: () => onPick(face.face) },
    element(
      'span',
      { className: 'label' },
      element('i', { textContent: face.face + 1 }),
      element('span', { textContent: [figure, face.band].filter(Boolean).join(' ') }),
    ),
  );
  box.dataset.face = face.face;
  if (typeof face.box_x !== 'number') {
    // An aligned crop: the face is the whole image.
    box.classList.add('whole');
    return box;
  }
  // Coordinates are those of pixel centres.
  const percent = (fraction) => `${100 * fraction}%`;
  box.style.left = percent((face.box_x + 0.5) / size.width);
  box.style.top = percent((face.box_y + 0.5) / size.height);
  box.style.width = percent(face.box_width / size.width);
  box.style.height = percent(face.box_height / size.height);
  return box;
}
