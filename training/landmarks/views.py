"""The held-out faces, and views with the errors of the detector's landmarks."""

import numpy as np
from geometry import EYES, VIEW, apply, fit, warp
from images import read

HELD_OUT = 10
# A face is not used if the teacher's outputs spread by more than this.
MAX_SPREAD = 0.15
# Standard deviations of the errors of rough landmarks: shift in inter-eye distances, rotation in
# degrees, logarithm of the size. A fraction of the views has `WORSE` times these errors.
SHIFT, TURN, RESIZE = 0.055, 3.5, 0.06
WORSE, WORSE_FRACTION = 2.2, 0.3


def held_out(names, seed=4):
    """Which images are held out, a tenth of them, by the names of all images."""
    order = np.random.default_rng(seed).permutation(np.argsort(names))
    chosen = np.zeros(len(order), bool)
    chosen[order[: len(order) // HELD_OUT]] = True
    return chosen


class Faces:
    """The held-out faces with consistent labels, from the archive and `landmarks.npz`."""

    def __init__(self, archive, labels):
        labels = np.load(labels)
        mine = held_out(labels["names"])[labels["image"]] & (labels["spread"] <= MAX_SPREAD)
        self.images = read(archive)[1]
        self.image = labels["image"][mine]
        # From the outer corner of the image to the centre of its first pixel.
        self.points = labels["points"][mine].astype(np.float64) - 0.5

    def __len__(self):
        return len(self.points)

    def at(self, index):
        return self.images[self.image[index]], self.points[index]


def off(rng, matrix):
    """The matrix of a view from slightly wrong landmarks."""
    strength = WORSE if rng.random() < WORSE_FRACTION else 1.0
    shift = rng.normal(0, SHIFT * strength, 2) * EYES
    turn = np.deg2rad(rng.normal(0, TURN * strength))
    scale = np.exp(rng.normal(0, RESIZE * strength))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.full(2, (VIEW - 1) / 2)
    turned = np.concatenate([linear, (middle + shift - linear @ middle)[:, None]], 1)
    return np.concatenate([turned[:, :2] @ matrix[:, :2], apply(turned, matrix[:, 2])[:, None]], 1)


def sample(rng, image, points):
    """An undegraded view (u8 RGB `[VIEW, VIEW, 3]`) and its points `[5, 2]`."""
    matrix = off(rng, fit(points))
    return warp(np.ascontiguousarray(image), matrix), apply(matrix, points)
