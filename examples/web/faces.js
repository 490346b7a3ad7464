// Finds the faces of a photo with accurate landmarks: runs the detector at a few sizes, and the
// landmark network on an aligned view of each face. Unlike the program, it does not search rotated
// photos.

import { TEMPLATE, apply, inverse, similarity, warp } from './align.js';

/** Longer side of the image that the detector reads first; each further level is a third of it. */
const WORKING_SIDE = 1280;
const STEP = 3;
const MIN_LEVEL_SIDE = 320;
/** Side of a face, in pixels, below which the next finer level detects it better. */
const MIN_FACE_SIDE_COARSE = 100;
const MIN_CONFIDENCE = 0.7;
/** Boxes with a larger overlap (intersection over union) are one face. */
const NMS_IOU = 0.3;

/** Side of the landmark network's input, and the inter-eye distance in it, in pixels. */
const VIEW = 80;
const EYES = 27;
const MAX_PASSES = 4;
/** Mean landmark movement, relative to the inter-eye distance, below which landmarks are final. */
const CONVERGED = 0.05;

/** The template scaled to the landmark network's view, its mean in the centre. */
const VIEW_TEMPLATE = (() => {
  const [left, right] = TEMPLATE;
  const scale = EYES / Math.hypot(right[0] - left[0], right[1] - left[1]);
  const mean = [0, 1].map((axis) => TEMPLATE.reduce((sum, point) => sum + point[axis], 0) / 5);
  return TEMPLATE.map((point) => point.map((v, axis) => (v - mean[axis]) * scale + (VIEW - 1) / 2));
})();

/**
 * The faces of an image, most confident first: `{ box, confidence, landmarks }` in its pixels.
 * `run(network, planes, [height, width])` runs `detector` or `landmarks` on planes
 * `[batch, 3, height, width]` and resolves to its outputs by name.
 */
export async function findFaces(image, run) {
  const candidates = [];
  let level = image;
  for (const [index, [width, height]] of levels(image.width, image.height).entries()) {
    level = shrink(level, width, height);
    const scale = image.width / width;
    for (const face of await detect(level, run)) {
      const [left, top, right, bottom] = face.box;
      if (index > 0 && Math.sqrt((right - left) * (bottom - top)) < MIN_FACE_SIDE_COARSE) continue;
      const enlarged = (value) => (value + 0.5) * scale - 0.5;
      face.box = face.box.map(enlarged);
      face.landmarks = face.landmarks.map((point) => point.map(enlarged));
      candidates.push(face);
    }
  }
  const faces = nonMaximumSuppression(candidates);
  for (const face of faces) face.landmarks = await refine(image, face.landmarks, run);
  return faces;
}

function levels(width, height) {
  const longer = Math.max(width, height);
  const sizes = [];
  for (let side = Math.min(longer, WORKING_SIDE); ; side = Math.ceil(side / STEP)) {
    sizes.push([width, height].map((v) => Math.max(1, Math.round((v * side) / longer))));
    if (side <= MIN_LEVEL_SIDE) return sizes;
  }
}

/** An image downscaled by averaging. */
function shrink(image, width, height) {
  if (width === image.width && height === image.height) return image;
  const across = spans(image.width, width);
  const rows = new Float32Array(3 * width * image.height);
  for (let y = 0; y < image.height; y += 1) {
    across.forEach((span, x) => {
      for (const [source, weight] of span) {
        for (let channel = 0; channel < 3; channel += 1) {
          rows[3 * (y * width + x) + channel] +=
            weight * image.data[4 * (y * image.width + source) + channel];
        }
      }
    });
  }
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  const sums = new Float32Array(3 * width);
  spans(image.height, height).forEach((span, y) => {
    sums.fill(0);
    for (const [source, weight] of span) {
      for (let place = 0; place < sums.length; place += 1) {
        sums[place] += weight * rows[3 * width * source + place];
      }
    }
    sums.forEach((sum, place) => {
      data[4 * (y * width + Math.floor(place / 3)) + (place % 3)] = sum;
    });
  });
  return { data, width, height };
}

/** For each of `to` cells: the source cells it covers, and the fraction of it that each fills. */
function spans(from, to) {
  return Array.from({ length: to }, (_, cell) => {
    const [start, end] = [(cell * from) / to, ((cell + 1) * from) / to];
    const first = Math.floor(start);
    return Array.from({ length: Math.ceil(end) - first }, (_, offset) => {
      const source = Math.min(first + offset, from - 1);
      const covered = Math.min(end, source + 1) - Math.max(start, source);
      return [source, covered / (end - start)];
    });
  });
}

async function detect(image, run) {
  const [width, height] = [image.width, image.height].map((side) => Math.ceil(side / 32) * 32);
  const planes = new Float32Array(3 * width * height);
  for (let channel = 0; channel < 3; channel += 1) {
    for (let y = 0; y < image.height; y += 1) {
      for (let x = 0; x < image.width; x += 1) {
        planes[(channel * height + y) * width + x] = image.data[4 * (y * image.width + x) + channel];
      }
    }
  }
  const { confidences, boxes, landmarks } = await run('detector', planes, [height, width]);
  const faces = [];
  confidences.forEach((confidence, cell) => {
    if (confidence < MIN_CONFIDENCE) return;
    const box = Array.from(boxes.subarray(4 * cell, 4 * cell + 4));
    faces.push({ confidence, box, landmarks: points(landmarks, cell) });
  });
  return faces;
}

/** The five points of one cell or view. */
function points(numbers, index) {
  const at = 10 * index;
  return [0, 1, 2, 3, 4].map((point) => [numbers[at + 2 * point], numbers[at + 2 * point + 1]]);
}

/** Keeps the most confident of overlapping boxes. */
function nonMaximumSuppression(candidates) {
  const kept = [];
  for (const face of candidates.sort((one, other) => other.confidence - one.confidence)) {
    if (kept.every((other) => overlap(face.box, other.box) <= NMS_IOU)) kept.push(face);
  }
  return kept;
}

function overlap(one, other) {
  const side = (axis) =>
    Math.min(one[axis + 2], other[axis + 2]) - Math.max(one[axis], other[axis]);
  const common = Math.max(0, side(0)) * Math.max(0, side(1));
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return common / (area(one) + area(other) - common);
}

/**
 * More accurate landmarks: the mean of the landmarks found in an aligned view and in its mirror
 * image, repeated in the better aligned view until they no longer move.
 */
async function refine(image, rough, run) {
  let landmarks = rough;
  for (let pass = 1; pass <= MAX_PASSES; pass += 1) {
    const toView = similarity(landmarks, VIEW_TEMPLATE);
    const toImage = inverse(toView);
    const view = warp(image, toView, VIEW);
    const both = new Float32Array(2 * view.length);
    both.set(view);
    view.forEach((level, place) => {
      const column = place % VIEW;
      both[view.length + place - column + (VIEW - 1 - column)] = level;
    });
    const found = (await run('landmarks', both, [VIEW, VIEW])).landmarks;
    const plain = points(found, 0);
    // Mirroring swaps the eyes and the corners of the mouth.
    const mirrored = [1, 0, 2, 4, 3].map((point) => points(found, 1)[point]);
    const before = landmarks;
    landmarks = plain.map(([x, y], point) =>
      apply(toImage, [(x + VIEW - 1 - mirrored[point][0]) / 2, (y + mirrored[point][1]) / 2]),
    );
    const moved = before.map(([x, y], i) => Math.hypot(x - landmarks[i][0], y - landmarks[i][1]));
    const eyes = EYES * Math.hypot(toImage.a, toImage.b);
    if (pass > 1 && moved.reduce((sum, one) => sum + one, 0) / 5 < CONVERGED * eyes) break;
  }
  return landmarks;
}
