// Draws the map of a face on the photo: the attention that each patch receives, in colour.

import { svgElement } from './dom.js';
import { viridis } from './viridis.js';

/** Side of the crop that the network reads, in pixels. */
const CROP_SIDE = 112;

/** Whether a face has a map that can be drawn. */
export function hasMap(face) {
  return (
    Array.isArray(face.map) &&
    face.map_side > 0 &&
    face.map.length === face.map_side ** 2 &&
    face.map.every(Number.isFinite)
  );
}

/**
 * The least and greatest patch value of all maps, `[low, high]`, or `null` if there are none. Maps
 * shown together share one range, so that equal colours mean equal values.
 */
export function rangeOfMaps(faces) {
  let range = null;
  for (const value of faces.filter(hasMap).flatMap((face) => face.map)) {
    range = range ? [Math.min(range[0], value), Math.max(range[1], value)] : [value, value];
  }
  return range;
}

/**
 * The map as an SVG image over a photo whose SVG has one unit per pixel, or `null` if the face
 * has none. Pixel centres of the photo are at half units.
 */
export function mapImage(face, range) {
  const matrix = hasMap(face) && fromCrop(face.crop_transform);
  if (!matrix) return null;
  return svgElement('image', {
    href: render(face.map, face.map_side, range),
    width: CROP_SIDE,
    height: CROP_SIDE,
    transform: `matrix(${matrix.join(' ')})`,
  });
}

/**
 * The SVG matrix from the crop's edges (0 to 112) to the photo's, from the six numbers
 * a b c d e f of `crop_transform`: crop x = a·x + b·y + c, crop y = d·x + e·y + f, between pixel
 * centres counted from 0. `null` if it has no inverse.
 */
export function fromCrop(transform) {
  if (!Array.isArray(transform) || transform.length !== 6) return null;
  const [a, b, c, d, e, f] = transform;
  const determinant = a * e - b * d;
  if (!Number.isFinite(determinant) || determinant === 0) return null;
  const [xx, xy, yx, yy] = [e, -b, -d, a].map((entry) => entry / determinant);
  // Crop edge 0 is the centre −0.5, and centre 0 of the photo is the edge coordinate 0.5.
  const [u, v] = [-0.5 - c, -0.5 - f];
  return [xx, yx, xy, yy, xx * u + xy * v + 0.5, yx * u + yy * v + 0.5];
}

/** A PNG of a map as a data URL: bilinear between patch centres, then coloured. */
function render(values, side, [low, high]) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = CROP_SIDE;
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(CROP_SIDE, CROP_SIDE);
  const fractions = values.map((value) => (high > low ? (value - low) / (high - low) : 0.5));
  const taps = Array.from({ length: CROP_SIDE }, (_, pixel) => {
    const centre = ((pixel + 0.5) / CROP_SIDE) * side - 0.5;
    const place = Math.min(Math.max(centre, 0), side - 1);
    const near = Math.floor(place);
    return { near, far: Math.min(near + 1, side - 1), t: place - near };
  });
  const mix = (from, to, t) => from + (to - from) * t;
  taps.forEach((down, row) => {
    taps.forEach((across, column) => {
      const along = (line) =>
        mix(fractions[line * side + across.near], fractions[line * side + across.far], across.t);
      const colour = viridis(mix(along(down.near), along(down.far), down.t));
      pixels.data.set([...colour, 255], (row * CROP_SIDE + column) * 4);
    });
  });
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL('image/png');
}
