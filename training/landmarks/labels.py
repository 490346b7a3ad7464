"""Precise landmarks of a face: the teacher's, averaged over many views.

Handles one face at a time, for evaluation; `batch_labels.py` does the same for all training faces
at once.

A single output of the teacher is off by a few percent of the inter-eye distance, and the error
changes with the position and size of the face in the image and in the mirror image. Therefore each
face is turned upright and passed to the teacher at several sizes, slightly shifted and rotated,
plain and mirrored; the result is the mean of the outputs without outliers.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "training/detector"))

from multi_view import SCORE_THRESHOLD, mirror  # noqa: E402

# Sizes of the face box in the views, in pixels, and views per size, half of them mirrored.
SIZES = (70.0, 92.0, 120.0, 155.0)
VIEWS_PER_SIZE = 6
# Maximum rotation in degrees, maximum change of size, and range of shifts: a whole grid cell.
TURN, RESIZE, GRID = 6.0, 0.1, 32.0
# Views farther from the median than this multiple of their median distance are excluded.
OUTLIER = 2.5
# A face found in a smaller fraction of its views is not used.
MIN_VIEW_FRACTION = 0.6


def view_of(image, points, box, size, degrees, shift):
    """A view in which the face is upright: `(view, linear, shift)` of the transform."""
    eyes = points[1] - points[0]
    down = points[3:].mean(0) - points[:2].mean(0)
    # The line of the eyes and the vertical of the face; not perpendicular for a turned head.
    angle = np.angle(np.exp(1j * np.arctan2(eyes[1], eyes[0])) + np.exp(1j * np.arctan2(-down[0], down[1])))
    angle = np.deg2rad(degrees) - angle
    scale = size / np.sqrt(box[2] * box[3])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = int(np.ceil((1.7 * size + GRID) / 32) * 32)
    centre = box[:2] + box[2:] / 2
    way = np.array([side / 2, side / 2]) + shift - linear @ centre
    if scale < 0.8:
        image = cv2.GaussianBlur(image, (0, 0), 0.45 / scale)
    matrix = np.concatenate([linear, (way + linear @ [0.5, 0.5] - 0.5)[:, None]], 1)
    return cv2.warpAffine(image, matrix, (side, side)), linear, way


def seen(teacher, image, points, box, size, degrees, shift, mirrored):
    """The teacher's points from one view, in image coordinates, or None."""
    view, linear, way = view_of(image, points, box, size, degrees, shift)
    side = view.shape[0]
    if mirrored:
        view = np.ascontiguousarray(view[:, ::-1])
    found = teacher.detect(view, SCORE_THRESHOLD, 0.45, merge=True)
    if mirrored:
        found = mirror(found, side)
    if len(found) == 0:
        return None
    middle = side / 2 + shift
    away = np.abs(found[:, 1:3] + found[:, 3:5] / 2 - middle).max(1)
    best = np.argmin(away)
    if away[best] > 0.3 * size:
        return None
    return (found[best, 5:].reshape(5, 2) - way) @ np.linalg.inv(linear).T


def average(teacher, image, points, box, rng):
    """`(points, spread, views)` of a face, or None if it is found in too few views."""
    views = []
    for size in SIZES:
        for number in range(VIEWS_PER_SIZE):
            where = rng.uniform(-GRID / 2, GRID / 2, 2)
            turn, resize = rng.uniform(-TURN, TURN), np.exp(rng.uniform(-RESIZE, RESIZE))
            views.append(seen(teacher, image, points, box, size * resize, turn, where, number % 2 == 1))
    mirrored = np.array([v is not None for v in views]).nonzero()[0] % 2 == 1
    found = np.array([v for v in views if v is not None])
    if len(found) < MIN_VIEW_FRACTION * len(views):
        return None
    median = np.median(found, 0)
    eyes = max(np.linalg.norm(median[1] - median[0]), 0.3 * np.sqrt(box[2] * box[3]))
    away = np.linalg.norm(found - median, axis=2).mean(1)
    near = away <= OUTLIER * np.median(away)
    sides = [found[near & (mirrored == side)] for side in (False, True)]
    if min(len(side) for side in sides) == 0:
        return None
    # Plain and mirrored views have equal weight, since the teacher is not symmetric.
    mean = (sides[0].mean(0) + sides[1].mean(0)) / 2
    spread = np.linalg.norm(found[near] - mean, axis=2).mean() / eyes
    return mean, spread, int(near.sum())
