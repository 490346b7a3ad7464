"""Views of the labelled faces, looked at as wrongly as the detector's landmarks are wrong."""

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "detector"))

from geometry import EYES, VIEW, apply, fit, mirror, warp  # noqa: E402
from scenes import tone  # noqa: E402
from teacher import SIDE  # noqa: E402

HELD_OUT = 10
# A face whose teacher's answers differ by more is not learnt from.
WIDEST_SPREAD = 0.15
# Standard deviations of the rough landmarks' errors: shift in eye distances, turn in
# degrees, logarithm of the size. A part of the views is off by `WORSE` times as much.
SHIFT, TURN, RESIZE = 0.055, 3.5, 0.06
WORSE, WORSE_SHARE = 2.2, 0.3


class Faces:
    """The labelled faces of one split: `train` or `held-out` (the detector's tenth)."""

    def __init__(self, cache, split, seed=4):
        cache = Path(cache)
        self.pictures = np.load(cache / "pictures.npy", mmap_mode="r")
        labels = np.load(cache / "landmarks.npz")
        order = np.random.default_rng(seed).permutation(np.argsort(labels["names"]))
        held_out = np.zeros(len(order), bool)
        held_out[order[: len(order) // HELD_OUT]] = True
        mine = held_out[labels["picture"]] == (split == "held-out")
        mine &= labels["spread"] <= WIDEST_SPREAD
        self.picture = labels["picture"][mine]
        # From the picture's outer corner to the centre of its first pixel.
        self.points = labels["points"][mine].astype(np.float64) - 0.5

    def __len__(self):
        return len(self.points)

    def at(self, index):
        return np.asarray(self.pictures[self.picture[index]]), self.points[index]


def off(rng, matrix):
    """A view's matrix by landmarks that are a little wrong."""
    strength = WORSE if rng.random() < WORSE_SHARE else 1.0
    shift = rng.normal(0, SHIFT * strength, 2) * EYES
    turn = np.deg2rad(rng.normal(0, TURN * strength))
    scale = np.exp(rng.normal(0, RESIZE * strength))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.full(2, (VIEW - 1) / 2)
    turned = np.concatenate([linear, (middle + shift - linear @ middle)[:, None]], 1)
    return np.concatenate([turned[:, :2] @ matrix[:, :2], apply(turned, matrix[:, 2])[:, None]], 1)


def covered(rng, view, points):
    """Something before the face: a bar, a box or an oval of one colour, noisy or not."""
    colour = rng.integers(0, 256, 3)
    patch = np.full(view.shape, 0, np.uint8) + colour.astype(np.uint8)
    if rng.random() < 0.5:
        patch = np.clip(patch + rng.normal(0, rng.uniform(5, 50), view.shape), 0, 255).astype(np.uint8)
    mask = np.zeros(view.shape[:2], np.uint8)
    middle = points[rng.integers(5)] + rng.normal(0, 0.35 * EYES, 2)
    size = rng.uniform(0.15, 1.0, 2) * EYES
    turn = rng.uniform(0, 180)
    if rng.random() < 0.5:
        cv2.ellipse(mask, (tuple(map(float, middle)), tuple(map(float, size)), turn), 255, -1)
    else:
        corners = cv2.boxPoints((tuple(map(float, middle)), tuple(map(float, size)), turn))
        cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 255)
    return np.where(mask[..., None] > 0, patch, view)


def spoil(rng, view, points):
    """Colour, darkness, blur, coarseness, noise, JPEG and cover, as pictures have them."""
    if rng.random() < 0.25:
        view = covered(rng, view, points)
    if rng.random() < 0.12:
        view = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.8:
        view = tone(rng, 2.0 if rng.random() < 0.2 else 1.0)[view, [0, 1, 2]]
    kind = rng.random()
    if kind < 0.15:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.4, 2.5))
    elif kind < 0.4:
        share = rng.uniform(0.25, 0.9)
        small = cv2.resize(view, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        view = cv2.resize(small, (VIEW, VIEW), interpolation=cv2.INTER_LINEAR)
    elif kind < 0.48:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        end = np.exp(1j * rng.uniform(0, np.pi)) * length / 2
        middle = (length - 1) / 2
        ends = [(round(middle + s * end.real), round(middle + s * end.imag)) for s in (-1, 1)]
        cv2.line(kernel, *ends, 1.0)
        view = cv2.filter2D(view, -1, kernel / kernel.sum())
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 20), view.shape)
        view = np.clip(view + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 95))]
        view = cv2.imdecode(cv2.imencode(".jpg", view, quality)[1], cv2.IMREAD_COLOR)
    return view


def sample(rng, picture, points, spoiled=True):
    """A view u8 RGB `[VIEW, VIEW, 3]` and its points `[5, 2]`."""
    if spoiled and rng.random() < 0.5:
        picture, points = picture[:, ::-1], mirror(points, SIDE)
    matrix = off(rng, fit(points))
    view, points = warp(np.ascontiguousarray(picture), matrix), apply(matrix, points)
    return (spoil(rng, view, points) if spoiled else view), points
