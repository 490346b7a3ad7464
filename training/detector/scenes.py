"""Scenes of one to twelve faces, or none, with what is exactly known about them.

The teacher's boxes and landmarks of the source pictures move with the geometry of
the composition, so they are right also where the teacher itself would not be.
"""

from pathlib import Path

import cv2
import numpy as np

import backgrounds
from teacher import SIDE, mirror

SMALLEST, LARGEST = 12.0, 400.0
# Below this share of its box inside the scene, a face is neither one nor background.
VISIBLE = 0.6
HELD_OUT = 10
# How often a pasted head has no face, and the size from which that is not a matter of taste.
FACELESS, FACELESS_SIZE = 0.1, 32.0


class Source:
    """The labelled pictures of one split: `train` or `held-out` (every tenth by seed)."""

    def __init__(self, cache, split, seed=4):
        cache = Path(cache)
        self.pictures = np.load(cache / "pictures.npy", mmap_mode="r")
        labels = np.load(cache / "faces.npz")
        names = labels["names"]
        order = np.random.default_rng(seed).permutation(np.argsort(names))
        held_out = np.zeros(len(names), bool)
        held_out[order[: len(order) // HELD_OUT]] = True
        self.rows = np.flatnonzero(held_out == (split == "held-out"))
        self.faces, self.certain = labels["face"], labels["certain"]
        ends = np.searchsorted(labels["picture"], np.arange(len(names) + 1))
        self.range = [slice(a, b) for a, b in zip(ends[:-1], ends[1:])]
        # Pictures whose main face the teacher is sure of can be put into scenes.
        self.usable = np.array([r for r in self.rows if self.main_is_certain(r)])

    def main_is_certain(self, row):
        faces, certain = self.faces[self.range[row]], self.certain[self.range[row]]
        return len(faces) > 0 and certain[np.argmax(faces[:, 3] * faces[:, 4])]

    def boxes(self, row):
        return self.faces[self.range[row]][:, 1:5]

    def pick(self, rng):
        """A picture, its faces `[n, 14]` (box, landmarks), which are certain, the main one."""
        row = rng.choice(self.usable)
        picture, faces = np.asarray(self.pictures[row]), self.faces[self.range[row]].copy()
        if rng.random() < 0.5:
            picture, faces = np.ascontiguousarray(picture[:, ::-1]), mirror(faces, SIDE)
        main = int(np.argmax(faces[:, 3] * faces[:, 4]))
        return picture, faces[:, 1:], self.certain[self.range[row]], main


def size_of(faces):
    return np.sqrt(faces[..., 2] * faces[..., 3])


def move(faces, matrix):
    """Faces under a similarity; a turned box becomes that of the turned inscribed ellipse."""
    linear = matrix[:, :2]
    moved = faces.copy()
    centre = faces[:, :2] + faces[:, 2:4] / 2
    centre = centre @ linear.T + matrix[:, 2]
    half = faces[:, 2:4] / 2
    half = np.sqrt((half**2) @ (linear**2).T)
    moved[:, :2], moved[:, 2:4] = centre - half, 2 * half
    points = faces[:, 4:].reshape(-1, 5, 2) @ linear.T + matrix[:, 2]
    moved[:, 4:] = points.reshape(-1, 10)
    return moved


def angle(rng):
    """Degrees: mostly upright, up to 45 either way."""
    return rng.normal(0, 8) if rng.random() < 0.5 else rng.uniform(-45, 45)


def similarity(scale, degrees, source, target):
    """The similarity that scales, turns and brings point `source` to `target`."""
    a = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return np.concatenate([linear, (target - linear @ source)[:, None]], 1)


def tone(rng, strength):
    """A table `[256, 3]` of random gamma, contrast, brightness and colour balance."""
    level = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(rng.normal(0, 0.35 * strength))
    gain = np.exp(rng.normal(0, 0.2 * strength)) * np.exp(rng.normal(0, 0.08 * strength, 3))
    shift = rng.normal(0, 0.06 * strength)
    return (np.clip(level**gamma * gain + shift, 0, 1) * 255).astype(np.uint8)


def mask_of(rng, box):
    """How a source picture covers the scene: all of it, soft at its edges, or an oval."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    kind = rng.random()
    if kind < 0.35:
        mask[:] = 255
    elif kind < 0.6:
        soft = int(rng.integers(3, 30))
        mask[soft : SIDE - soft, soft : SIDE - soft] = 255
        mask = cv2.blur(mask, (2 * soft - 1, 2 * soft - 1))
    else:
        grow = rng.uniform(1.05, 1.4)
        centre = (int(box[0] + box[2] / 2), int(box[1] + box[3] * 0.47))
        axes = (int(box[2] * grow / 2), int(box[3] * grow / 2))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
        if rng.random() < 0.5:
            # A neck and shoulders' worth of the picture below.
            mask[int(box[1] + box[3] * 0.6) :, max(0, centre[0] - axes[0]) : centre[0] + axes[0]] = 255
        soft = 2 * int(rng.integers(1, 12)) + 1
        mask = cv2.blur(mask, (soft, soft))
    return mask


def paste(canvas, picture, mask, matrix):
    """Blend a picture into the canvas under a similarity, without aliasing, in place."""
    height, width = canvas.shape[:2]
    corners = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]) @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int), (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    scale = float(np.hypot(*matrix[:, 0]))
    matrix = matrix - [[0, 0, x0], [0, 0, y0]]
    if scale < 0.8:
        small = max(2, round(SIDE * scale))
        matrix = matrix @ np.diag([SIDE / small, SIDE / small, 1])
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, (small, small), interpolation=cv2.INTER_AREA)
    size = (int(x1 - x0), int(y1 - y0))
    shift = matrix.copy()
    # Pixel centres: continuous coordinates put them at +0.5.
    shift[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    picture = cv2.warpAffine(picture, shift, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(mask, shift, size)[..., None].astype(np.float32) / 255
    part = canvas[y0:y1, x0:x1]
    part[:] = (part + (picture.astype(np.float32) - part) * mask + 0.5).astype(np.uint8)


def occlude(rng, canvas, face, source):
    """Something in front of a part of the face."""
    height, width = canvas.shape[:2]
    x, y, w, h = face[:4]
    layer = np.zeros((height, width), np.uint8)
    if rng.random() < 0.25:
        # The lower or the left or the right part.
        side = rng.integers(0, 3)
        cut = rng.uniform(0.5, 0.75)
        box = [(x, y + h * cut, w, h), (x - w, y, w * (2 - cut), h), (x + w * cut, y, w, h)][side]
    else:
        bw, bh = w * rng.uniform(0.1, 0.5), h * rng.uniform(0.1, 0.45)
        box = (x + rng.uniform(0, w - bw), y + rng.uniform(0, h - bh), bw, bh)
    bx, by, bw, bh = (int(v) for v in box)
    if rng.random() < 0.5:
        cv2.rectangle(layer, (bx, by), (bx + bw, by + bh), 255, -1)
    else:
        middle, axes = (bx + bw // 2, by + bh // 2), (max(1, bw // 2), max(1, bh // 2))
        cv2.ellipse(layer, middle, axes, float(rng.uniform(-40, 40)), 0, 360, 255, -1)
    # Not on its neighbours.
    inner = np.zeros_like(layer)
    cv2.rectangle(inner, (int(x), int(y)), (int(x + w), int(y + h)), 255, -1)
    layer &= inner
    cover = backgrounds.background(rng, height, width, source)
    canvas[layer > 0] = cover[layer > 0]


def erase(rng, picture, face, source):
    """The picture with skin, texture or a plain colour where the face was."""
    x, y, w, h = face[:4]
    layer = np.zeros(picture.shape[:2], np.uint8)
    middle, axes = (int(x + w / 2), int(y + h / 2)), (int(w * 0.47), int(h * 0.5))
    cv2.ellipse(layer, middle, axes, 0, 0, 360, 255, -1)
    layer = cv2.blur(layer, (15, 15))[..., None].astype(np.float32) / 255
    kind = rng.random()
    if kind < 0.4:
        cover = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(22, 40)))
        cover = cover + rng.normal(0, rng.uniform(0, 8), (*picture.shape[:2], 1))
    elif kind < 0.9:
        cover = backgrounds.background(rng, SIDE, SIDE, source)
    else:
        cover = np.zeros_like(picture) + picture[layer[..., 0] > 0.9].mean(0)
    return np.clip(picture + (cover - picture.astype(np.float32)) * layer, 0, 255).astype(np.uint8)


def inside(faces, height, width):
    """Share of each box within the scene."""
    low = np.clip(faces[:, :2], 0, (width, height))
    high = np.clip(faces[:, :2] + faces[:, 2:4], 0, (width, height))
    return np.prod(high - low, 1) / np.prod(faces[:, 2:4], 1)


def add(rng, canvas, source, scene, matrix_for, mask_for):
    """Put one picture into the scene unless it would hide another face."""
    picture, faces, certain, main = source.pick(rng)
    matrix = matrix_for(faces[main])
    mask = mask_for(faces[main])
    moved = move(faces, matrix)
    corners = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]) @ matrix[:, :2].T + matrix[:, 2]
    low, high = corners.min(0), corners.max(0)
    for other in scene:
        shared = np.minimum(other[0][:2] + other[0][2:4], high) - np.maximum(other[0][:2], low)
        if shared.min() > 0 and shared.prod() > 0.12 * min(other[0][2] * other[0][3], (high - low).prod()):
            return
    faceless = rng.random() < FACELESS and size_of(moved[main]) > FACELESS_SIZE
    if faceless:
        picture = erase(rng, picture, faces[main], source)
    paste(canvas, cv2.LUT(picture, tone(rng, 0.7)[None]), mask, matrix)
    # Faces beside the main one may be cut by the mask: then they are not certain.
    for index, face in enumerate(moved):
        if faceless and index == main:
            continue
        box = faces[index]
        cut = mask[
            max(0, int(box[1])) : max(1, int(box[1] + box[3])),
            max(0, int(box[0])) : max(1, int(box[0] + box[2])),
        ]
        whole = index == main or (cut.size > 0 and cut.mean() > 240)
        scene.append((face, bool(certain[index] and whole)))
        if index == main and rng.random() < 0.15:
            occlude(rng, canvas, face, source)


def scattered(rng, height, width, source, scene):
    canvas = backgrounds.background(rng, height, width, source)
    side = min(height, width)
    count = int(rng.choice([1, 2, 3, 4, 6, 8, 12], p=[0.3, 0.2, 0.14, 0.12, 0.1, 0.08, 0.06]))
    largest = min(LARGEST, side * (1.1 if count == 1 else 1.3 / np.sqrt(count)))
    for _ in range(count):
        for _ in range(3):
            before = len(scene)

            def matrix_for(face):
                size = np.exp(rng.uniform(np.log(SMALLEST), np.log(largest)))
                target = rng.uniform(0, (width, height))
                if rng.random() < 0.8:
                    edge = min(size * 0.5, side * 0.5)
                    target = rng.uniform(edge, np.array([width, height]) - edge + 1e-3)
                centre = face[:2] + face[2:4] / 2
                return similarity(size / size_of(face), angle(rng), centre, target)

            add(rng, canvas, source, scene, matrix_for, lambda face: mask_of(rng, face))
            if len(scene) > before:
                break
    return canvas


def mosaic(rng, height, width, source, scene):
    """Whole pictures side by side."""
    canvas = backgrounds.background(rng, height, width, source)
    across = int(rng.integers(2, 5))
    tile = max(height, width) / across
    turn = angle(rng) if rng.random() < 0.3 else 0.0
    for row in range(int(np.ceil(height / tile))):
        for column in range(across):
            if rng.random() < 0.15:
                continue
            target = (np.array([column, row]) + 0.5) * tile
            matrix = similarity(tile / SIDE, turn, np.array([SIDE / 2, SIDE / 2]), target)
            if turn:
                matrix[:, :2] *= 0.72
                matrix[:, 2] = target - matrix[:, :2] @ [SIDE / 2, SIDE / 2]
            full = np.full((SIDE, SIDE), 255, np.uint8)
            add(rng, canvas, source, scene, lambda face: matrix, lambda face: full)
    return canvas


def portrait(rng, height, width, source, scene):
    """One picture over much of the scene, or a face of a third of it, as in a passport photo."""
    canvas = backgrounds.background(rng, height, width, source)
    if rng.random() < 0.3:
        canvas[:] = 0
    side = min(height, width)

    def matrix_for(face):
        size = min(LARGEST, side * np.exp(rng.uniform(np.log(0.25), np.log(1.0))))
        centre = face[:2] + face[2:4] / 2
        target = np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
        return similarity(size / size_of(face), angle(rng), centre, target)

    add(rng, canvas, source, scene, matrix_for, lambda face: mask_of(rng, face))
    return canvas


def spoil(rng, canvas):
    """Camera and file: tone, darkness, grey, blur, low resolution, noise, JPEG."""
    height, width = canvas.shape[:2]
    if rng.random() < 0.7:
        canvas = cv2.LUT(canvas, tone(rng, 1.0)[None])
    if rng.random() < 0.1:
        canvas = (canvas * rng.uniform(0.12, 0.5)).astype(np.uint8)
    if rng.random() < 0.12:
        canvas = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    kind = rng.random()
    if kind < 0.15:
        canvas = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.5, 2.2)))
    elif kind < 0.22:
        length = int(rng.integers(2, 9))
        kernel = np.zeros((9, 9), np.float32)
        a = rng.uniform(0, np.pi)
        step = (np.array([np.cos(a), np.sin(a)]) * length / 2).round().astype(int)
        cv2.line(kernel, (4 - step[0], 4 - step[1]), (4 + step[0], 4 + step[1]), 1)
        canvas = cv2.filter2D(canvas, -1, kernel / kernel.sum())
    elif kind < 0.3:
        factor = rng.uniform(0.4, 0.9)
        small = cv2.resize(canvas, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        canvas = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25:
        noise = rng.integers(-128, 128, (height, width, 3), np.int8).astype(np.float32)
        canvas = np.clip(canvas + noise * rng.uniform(0.01, 0.16), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        canvas = cv2.imdecode(cv2.imencode(".jpg", canvas, quality)[1], cv2.IMREAD_COLOR)
    return canvas


def compose(rng, height, width, source):
    """A scene: u8 RGB `[height, width, 3]`, faces `[n, 14]`, and boxes to ignore `[m, 4]`."""
    scene = []
    draw = rng.choice([scattered, mosaic, portrait, None], p=[0.52, 0.16, 0.25, 0.07])
    if draw is None:
        canvas = backgrounds.background(rng, height, width, source)
    else:
        canvas = draw(rng, height, width, source, scene)
    canvas = spoil(rng, canvas)
    faces = np.array([face for face, _ in scene], np.float32).reshape(-1, 14)
    certain = np.array([known for _, known in scene], bool)
    share = inside(faces, height, width) if len(faces) else np.zeros(0)
    size = size_of(faces)
    known = certain & (share >= VISIBLE) & (size >= SMALLEST - 1) & (size <= LARGEST * 1.1)
    unknown = ~known & (share > 0.02)
    return canvas, faces[known], faces[unknown, :4]
