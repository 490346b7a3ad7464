// Aligns a face to the crop that the networks read: finds the similarity transform that brings
// five landmarks closest to a template, and samples the pixels.

/** ArcFace's template: eyes, nose tip and corners of the mouth in a crop of 112×112 pixels. */
export const TEMPLATE = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];

/**
 * The least-squares similarity `{ a, b, x, y }` from points to targets (Umeyama 1991):
 * `[a·px − b·py + x, b·px + a·py + y]`. Pixel centres have integer coordinates.
 */
export function similarity(points, targets) {
  const mean = (list, axis) => list.reduce((sum, point) => sum + point[axis], 0) / list.length;
  const [px, py, qx, qy] = [mean(points, 0), mean(points, 1), mean(targets, 0), mean(targets, 1)];
  let [real, imaginary, square] = [0, 0, 0];
  points.forEach(([x, y], index) => {
    const [dx, dy, ex, ey] = [x - px, y - py, targets[index][0] - qx, targets[index][1] - qy];
    real += dx * ex + dy * ey;
    imaginary += dx * ey - dy * ex;
    square += dx * dx + dy * dy;
  });
  const [a, b] = [real / square, imaginary / square];
  return { a, b, x: qx - (a * px - b * py), y: qy - (b * px + a * py) };
}

export function apply({ a, b, x, y }, [px, py]) {
  return [a * px - b * py + x, b * px + a * py + y];
}

export function inverse({ a, b, x, y }) {
  const square = a * a + b * b;
  const [c, d] = [a / square, -b / square];
  return { a: c, b: d, x: d * y - c * x, y: -d * x - c * y };
}

/**
 * A crop of `side × side` pixels as planes of red, green and blue, levels of 0 to 255. `image` is
 * `{ data, width, height }` with four bytes per pixel; everything outside it is black. If the crop
 * shrinks the image by a factor of two or more, blocks of pixels are averaged first, so that no
 * pixel is skipped.
 */
export function warp(image, toCrop, side) {
  const block = Math.max(1, Math.floor(1 / Math.hypot(toCrop.a, toCrop.b)));
  const fromCrop = inverse(toCrop);
  const last = side - 1;
  const corners = [[0, 0], [last, 0], [0, last], [last, last]].map((one) => apply(fromCrop, one));
  // Blocks start at the crop's left and upper edges, so that they move with the face.
  const start = [0, 1].map((axis) => Math.floor(Math.min(...corners.map((one) => one[axis]))));
  const level = blockMeans(image, block, start);
  const out = new Float32Array(3 * side * side);
  const [around, upper, lower] = [new Float32Array(12), new Float32Array(3), new Float32Array(3)];
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const point = apply(fromCrop, [column, row]);
      // A block's centre is the mean of its pixels' centres.
      const [x, y] = point.map((value, axis) => (value - start[axis] - (block - 1) / 2) / block);
      const [left, top] = [Math.floor(x), Math.floor(y)];
      for (let corner = 0; corner < 4; corner += 1) {
        level(left + (corner % 2), top + Math.floor(corner / 2), around, 3 * corner);
      }
      for (let channel = 0; channel < 3; channel += 1) {
        upper[channel] = mix(around[channel], around[3 + channel], x - left);
        lower[channel] = mix(around[6 + channel], around[9 + channel], x - left);
        const value = Math.round(mix(upper[channel], lower[channel], y - top));
        out[channel * side * side + row * side + column] = value;
      }
    }
  }
  return out;
}

function mix(from, to, part) {
  return from + (to - from) * part;
}

/** Returns `level(column, row, out, at)`, which writes the mean red, green and blue of a block. */
function blockMeans({ data, width, height }, block, [startX, startY]) {
  const area = block * block;
  return (column, row, out, at) => {
    out.fill(0, at, at + 3);
    const [x0, y0] = [startX + column * block, startY + row * block];
    const [left, right] = [Math.max(0, x0), Math.min(width, x0 + block)];
    const [top, bottom] = [Math.max(0, y0), Math.min(height, y0 + block)];
    for (let y = top; y < bottom; y += 1) {
      for (let place = 4 * (y * width + left); place < 4 * (y * width + right); place += 4) {
        out[at] += data[place] / area;
        out[at + 1] += data[place + 1] / area;
        out[at + 2] += data[place + 2] / area;
      }
    }
  };
}
