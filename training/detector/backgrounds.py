"""Pictures without faces: textures, shapes, shuffled pieces and margins of pictures."""

import cv2
import numpy as np

from teacher import SIDE


def background(rng, height, width, source):
    """A u8 RGB picture `[height, width, 3]` in which there is no face."""
    draw = rng.choice(
        [smooth, fractal, shapes, shuffled, margin, flat], p=[0.1, 0.14, 0.16, 0.3, 0.25, 0.05]
    )
    picture = draw(rng, height, width, source)
    if draw is not shapes and rng.random() < 0.15:
        scatter(rng, picture, int(rng.integers(1, 6)))
    return picture


def colour(rng):
    return rng.integers(0, 256, 3)


def flat(rng, height, width, source):
    return np.full((height, width, 3), colour(rng), np.uint8)


def smooth(rng, height, width, source):
    """A gradient between a few random colours."""
    few = rng.integers(0, 256, (rng.integers(2, 4), rng.integers(2, 4), 3)).astype(np.uint8)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)


def fractal(rng, height, width, source):
    """Noise at several scales around one colour."""
    total = np.zeros((height, width, 3), np.float32) + colour(rng)
    for cells in (3, 6, 12, 24, 48, 96):
        noise = rng.normal(0, 1, (cells, cells, 3 if rng.random() < 0.3 else 1))
        noise = cv2.resize(noise.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        total += noise.reshape(height, width, -1) * rng.uniform(0, 30)
    return np.clip(total, 0, 255).astype(np.uint8)


def shapes(rng, height, width, source):
    picture = smooth(rng, height, width, source)
    scatter(rng, picture, int(rng.integers(8, 60)))
    return picture


def scatter(rng, picture, count):
    """Lines, boxes, ellipses, discs and letters in place."""
    height, width = picture.shape[:2]
    largest = max(height, width) / rng.uniform(2, 10)
    for _ in range(count):
        paint = colour(rng).tolist()
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        a, b = (int(v) for v in rng.uniform(2, largest, 2))
        thick = -1 if rng.random() < 0.6 else int(rng.integers(1, 6))
        kind = rng.integers(0, 6)
        if kind == 0:
            cv2.line(picture, (x, y), (x + a - b, y + b), paint, max(thick, 1), cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(picture, (x, y), (x + a, y + b), paint, thick)
        elif kind == 2:
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(picture, (x, y), (a, b), angle, 0, 360, paint, thick, cv2.LINE_AA)
        elif kind == 3:
            cv2.circle(picture, (x, y), a // 2 + 1, paint, thick, cv2.LINE_AA)
        elif kind == 4:
            text = "".join(chr(c) for c in rng.integers(48, 123, rng.integers(1, 8)))
            size = a / 30 + 0.2
            cv2.putText(picture, text, (x, y), int(rng.integers(0, 8)), size, paint, max(thick, 1))
        else:
            corners = np.array([x, y]) + rng.uniform(-a, a, (rng.integers(3, 7), 2))
            cv2.fillPoly(picture, [corners.astype(np.int32)], paint, cv2.LINE_AA)


def shuffled(rng, height, width, source):
    """A picture cut into tiles too small to hold a face, mixed up and enlarged."""
    picture = source.pictures[rng.choice(source.rows)]
    tile = int(rng.choice([14, 28, 32, 56]))
    count = SIDE // tile
    tiles = picture.reshape(count, tile, count, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    order = rng.permutation(len(tiles))
    tiles = np.rot90(tiles[order], rng.integers(0, 4), (1, 2))
    mixed = tiles.reshape(count, count, tile, tile, 3).swapaxes(1, 2).reshape(SIDE, SIDE, 3)
    return window(rng, mixed, height, width, rng.uniform(0.5, 2.5))


def margin(rng, height, width, source):
    """What lies beside the faces of a picture, mirrored until it fills the scene."""
    for _ in range(8):
        row = rng.choice(source.rows)
        boxes = source.boxes(row)
        if len(boxes) == 0:
            continue
        left, right = int(boxes[:, 0].min()), int(SIDE - (boxes[:, 0] + boxes[:, 2]).max())
        if max(left, right) < 18:
            continue
        picture = source.pictures[row]
        strip = picture[:, : left - 4] if left > right else picture[:, SIDE - right + 4 :]
        tall = int(rng.integers(24, SIDE))
        top = int(rng.integers(0, SIDE - tall + 1))
        strip = strip[top : top + tall]
        strip = np.rot90(strip, rng.integers(0, 4))
        return window(rng, strip, height, width, rng.uniform(0.6, 3))
    return fractal(rng, height, width, source)


def window(rng, picture, height, width, zoom):
    """A `height` x `width` view of a picture that is zoomed and mirrored at its borders."""
    matrix = np.array([[zoom, 0, -rng.uniform(0, 60)], [0, zoom, -rng.uniform(0, 60)]])
    picture = np.ascontiguousarray(picture)
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
