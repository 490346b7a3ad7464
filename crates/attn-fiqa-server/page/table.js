// A table of all faces of all photos, sortable by any column.

import { decimal, qualityOf } from './bands.js';
import { facesOf } from './best.js';
import { mainCause } from './causes.js';
import { byId, element } from './dom.js';
import { problemOfFace } from './messages.js';

/**
 * A row is `{ photo, face }`, with `face: null` for a photo without a face. `value` is the sort
 * key of a column, with `null` always last; `show` is the cell's text or element.
 */
const COLUMNS = [
  {
    name: 'Photo',
    value: ({ photo }) => photo.name.toLowerCase(),
    show: ({ photo }) => element('a', { href: `#${photo.card.root.id}`, textContent: photo.name }),
  },
  numeric('Face', 0, (face) => face.face + 1, 'ascending'),
  numeric('Quality', 0, qualityOf),
  {
    name: 'Band',
    value: ({ face }) => face && qualityOf(face),
    show: ({ face }) => face?.band ?? '–',
    first: 'descending',
  },
  numeric('Score', 3, (face) => face.score),
  numeric('Match probability', 3, (face) => face.match_probability),
  numeric('Inter-eye distance,\u00a0px', 1, (face) => face.inter_eye_distance),
  numeric('Yaw,\u00a0°', 0, (face) => face.yaw),
  numeric('Roll,\u00a0°', 0, (face) => face.roll),
  numeric('Detection score', 2, (face) => face.detection_score),
  {
    name: 'Main cause',
    value: ({ face }) => face && mainCause(face),
    show: ({ face }) => (face && mainCause(face)) ?? '–',
    optional: true,
  },
  { name: 'Note', value: note, show: (row) => note(row) ?? '' },
];

function numeric(name, digits, of, first = 'descending') {
  const value = ({ face }) => (face ? (of(face) ?? null) : null);
  return { name, value, show: (row) => decimal(value(row), digits), number: true, first };
}

function note({ photo, face }) {
  if (face) return problemOfFace(face)?.title ?? (face.message || photo.result.message || null);
  return photo.problem?.title ?? (photo.note || null);
}

/** The table `#faces`. */
export class FaceTable {
  #head = byId('faces').tHead;
  #body = byId('faces').tBodies[0];
  #photos = [];
  #columns = [];
  #sorted = null;
  #order = 'ascending';

  /** Shows these photos in the order that the user has chosen. */
  show(photos) {
    this.#photos = photos;
    this.#chooseColumns();
    this.#fill();
  }

  #rows() {
    return this.#photos.flatMap((photo) => {
      const faces = facesOf(photo);
      return faces.length > 0 ? faces.map((face) => ({ photo, face })) : [{ photo, face: null }];
    });
  }

  /** Omits optional columns for which no row has a value. */
  #chooseColumns() {
    const rows = this.#rows();
    const columns = COLUMNS.filter(
      (column) => !column.optional || rows.some((row) => column.value(row) !== null),
    );
    if (columns.length === this.#columns.length) return;
    this.#columns = columns;
    if (!columns.includes(this.#sorted)) this.#sorted = null;
    this.#head.replaceChildren(element('tr', {}, ...columns.map((column) => this.#header(column))));
    this.#showOrder();
  }

  #header(column) {
    const button = element(
      'button',
      { type: 'button', onclick: () => this.#sortBy(column) },
      column.name,
      element('span', { className: 'arrow', 'aria-hidden': 'true' }),
    );
    return element('th', { scope: 'col', className: column.number ? 'number' : '' }, button);
  }

  #sortBy(column) {
    if (this.#sorted === column) {
      this.#order = this.#order === 'ascending' ? 'descending' : 'ascending';
    } else {
      this.#sorted = column;
      this.#order = column.first ?? 'ascending';
    }
    this.#showOrder();
    this.#fill();
  }

  #showOrder() {
    const cells = [...this.#head.rows[0].cells];
    cells.forEach((cell, index) => {
      cell.setAttribute('aria-sort', this.#columns[index] === this.#sorted ? this.#order : 'none');
    });
  }

  #fill() {
    const rows = this.#rows();
    if (this.#sorted) rows.sort(by(this.#sorted, this.#order));
    this.#body.replaceChildren(
      ...rows.map((row) =>
        element('tr', {}, ...this.#columns.map((column, index) => cell(column, row, index === 0))),
      ),
    );
  }
}

function cell(column, row, isHeader) {
  const properties = isHeader ? { scope: 'row' } : {};
  if (column.number) properties.className = 'number';
  return element(isHeader ? 'th' : 'td', properties, column.show(row));
}

/** Compares rows by a column. Rows without a value come last in both orders. */
function by({ value }, order) {
  const sign = order === 'ascending' ? 1 : -1;
  return (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === 'string') return sign * a.localeCompare(b, undefined, { numeric: true });
    return sign * (a - b);
  };
}
