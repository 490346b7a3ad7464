"""What each cell of the pyramid should say about a scene."""

import numpy as np

from decode import STRIDES
from scenes import size_of

# A face belongs to the stride whose range holds its size; near a border to both. A
# little farther from the border the other stride is not told anything, and beyond
# that it is told that there is nothing: else it would see a larger face there.
BORDERS = (44.0, 128.0)
BAND = 1.2
NEAR = 1.3
# Half widths, in face sizes, of the cells that say "face" and of those that may.
CORE, RING = 0.13, 0.3
IGNORE, NOTHING, FACE = -1.0, 0.0, 1.0


def cell_centres(height, width):
    """Per stride the centres of its cells: x of columns, y of rows."""
    return [
        ((np.arange(width // s) + 0.5) * s, (np.arange(height // s) + 0.5) * s) for s in STRIDES
    ]


def ranges():
    edges = (0.0, *BORDERS, np.inf)
    return list(zip(edges[:-1], edges[1:]))


def assign(faces, unknown, height, width):
    """Score targets `[cells]` of all strides one after another, and the cells of faces.

    Returns `(score, cells, face_of_cell, weight)`; weights let a large face, which has
    many cells, count more than a small one but not in proportion.
    """
    scores, cells, owners = [], [], []
    offset = 0
    size = size_of(faces) if len(faces) else np.zeros(0)
    for (x, y), stride, (low, high) in zip(cell_centres(height, width), STRIDES, ranges()):
        score = np.zeros((len(y), len(x)), np.float32)
        owner = np.full(score.shape, -1, np.int64)
        for bx, by, bw, bh in unknown:
            columns = (x > bx - stride / 2) & (x < bx + bw + stride / 2)
            rows = (y > by - stride / 2) & (y < by + bh + stride / 2)
            score[np.ix_(rows, columns)] = IGNORE
        reach = (size > low / NEAR) & (size <= high * NEAR)
        mine = (size > low / BAND) & (size <= high * BAND)
        for face in np.flatnonzero(reach):
            rows, columns = near(faces[face], x, y, RING * size[face], stride)
            score[np.ix_(rows, columns)] = IGNORE
        for face in np.flatnonzero(mine):
            rows, columns = near(faces[face], x, y, CORE * size[face], stride / 2)
            score[np.ix_(rows, columns)] = FACE
            owner[np.ix_(rows, columns)] = face
        scores.append(score.ravel())
        found = np.flatnonzero(owner.ravel() >= 0)
        cells.append(found + offset)
        owners.append(owner.ravel()[found])
        offset += score.size
    cells, owners = np.concatenate(cells), np.concatenate(owners)
    count = np.bincount(owners, minlength=len(faces)) if len(owners) else np.zeros(1)
    weight = 1 / np.sqrt(np.maximum(count[owners], 1)) if len(owners) else np.zeros(0)
    return np.concatenate(scores), cells, owners, weight.astype(np.float32)


def near(face, x, y, reach, least):
    reach = max(reach, least)
    cx, cy = face[0] + face[2] / 2, face[1] + face[3] / 2
    return np.abs(y - cy) <= reach, np.abs(x - cx) <= reach
