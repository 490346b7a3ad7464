"""Degradations of views, a whole batch at once on the device.

Each kind affects a fixed fraction of a batch; views are drawn independently for each kind.
"""

import cv2
import numpy as np
import torch
from geometry import EYES, VIEW
from jpeg import Jpeg
from torch.nn import functional

# Fractions of the batch: occlusion, grey, tone, noise, JPEG.
COVERED, GREY, TONED, NOISY, COMPRESSED = 0.25, 0.12, 0.8, 0.3, 0.3
# At most one of these per view: Gaussian blur, low resolution, motion blur.
BLURRED, COARSE, MOVED = 0.15, 0.25, 0.08
# Fraction of the batch that is not degraded.
CLEAN = 0.15
# Standard deviations of the blur, and sides to which views are reduced.
SIGMAS, SIDES = np.geomspace(0.4, 2.5, 48), np.arange(VIEW // 4, VIEW * 9 // 10 + 1)
# Maximum length of the motion blur, in pixels.
MAX_MOTION_LENGTH = 7


def blurs():
    """Matrices `[VIEW, VIEW]` that blur a column of pixels, one per standard deviation."""
    column = np.eye(VIEW, dtype=np.float32)
    return np.stack([cv2.GaussianBlur(column, (1, 2 * int(np.ceil(3 * s)) + 1), s) for s in SIGMAS])


def coarsenings():
    """Matrices that reduce (area) and enlarge a column of pixels, one per side."""
    column = np.eye(VIEW, dtype=np.float32)
    small = [cv2.resize(column, (VIEW, int(side)), interpolation=cv2.INTER_AREA) for side in SIDES]
    return np.stack([cv2.resize(s, (VIEW, VIEW), interpolation=cv2.INTER_LINEAR) for s in small])


class Degrader:
    def __init__(self, device, generator):
        self.device, self.generator = torch.device(device), generator
        self.blurs = torch.from_numpy(blurs()).to(device)
        self.coarsenings = torch.from_numpy(coarsenings()).to(device)
        self.jpeg = Jpeg(device)

    def uniform(self, low, high, *shape):
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def random_rows(self, count, *fractions):
        """Disjoint random sets of rows with the given fractions."""
        order = torch.randperm(count, generator=self.generator, device=self.device)
        counts = [round(fraction * count) for fraction in fractions]
        return order.split([*counts, count - sum(counts)])

    def __call__(self, views, points):
        """Degrades views `[n, 3, VIEW, VIEW]` of 0..255 with these points."""
        clean = self.random_rows(len(views), CLEAN)[0]
        as_it_was = views[clean]
        for fraction, degrade in (
            (COVERED, lambda part, rows: self.covered(part, points[rows])),
            (GREY, lambda part, rows: self.grey(part)),
            (TONED, lambda part, rows: self.toned(part)),
        ):
            views = self.on(views, self.random_rows(len(views), fraction)[0], degrade)
        blurred, coarse, moved, _ = self.random_rows(len(views), BLURRED, COARSE, MOVED)
        views = self.on(views, blurred, lambda part, rows: self.resampled(part, self.blurs))
        views = self.on(views, coarse, lambda part, rows: self.resampled(part, self.coarsenings))
        views = self.on(views, moved, lambda part, rows: self.moved(part))
        views = self.on(views, self.random_rows(len(views), NOISY)[0], lambda part, rows: self.noisy(part))
        views = self.on(
            views, self.random_rows(len(views), COMPRESSED)[0], lambda part, rows: self.compressed(part)
        )
        return views.index_copy(0, clean, as_it_was)

    def on(self, views, rows, degrade):
        if len(rows) == 0:
            return views
        return views.index_copy(0, rows, degrade(views[rows], rows).round().clamp(0, 255))

    def covered(self, views, points):
        """Occlusion by a box or ellipse of one colour, noisy or not."""
        count = len(views)
        patch = self.uniform(0, 256, count, 3, 1, 1).floor()
        strength = self.uniform(5, 50, count, 1, 1, 1) * (self.uniform(0, 1, count, 1, 1, 1) < 0.5)
        patch = patch + self.normal(*views.shape) * strength
        which = torch.randint(5, (count,), generator=self.generator, device=self.device)
        middle = points[torch.arange(count, device=self.device), which]
        middle = middle + 0.35 * EYES * self.normal(count, 2)
        half = self.uniform(0.075, 0.5, count, 2) * EYES
        turn = self.uniform(0, np.pi, count)[:, None, None]
        pixel = torch.arange(VIEW, device=self.device)
        x, y = pixel - middle[:, 0, None, None], pixel[:, None] - middle[:, 1, None, None]
        along = (x * turn.cos() + y * turn.sin()) / half[:, 0, None, None]
        across = (y * turn.cos() - x * turn.sin()) / half[:, 1, None, None]
        oval = self.uniform(0, 1, count, 1, 1) < 0.5
        away = torch.where(oval, along.square() + across.square(), torch.maximum(along.abs(), across.abs()))
        return torch.where((away <= 1)[:, None], patch, views)

    def grey(self, views):
        weights = torch.tensor([0.299, 0.587, 0.114], device=self.device)
        return torch.einsum("c,nchw->nhw", weights, views)[:, None].expand_as(views)

    def toned(self, views):
        """Random gamma, contrast, brightness and colour balance, like `coloured` of the detector's views."""
        count = len(views)
        strength = torch.where(self.uniform(0, 1, count, 1, 1, 1) < 0.2, 2.0, 1.0)
        gamma = (0.35 * strength * self.normal(count, 1, 1, 1)).exp()
        gain = 0.2 * self.normal(count, 1, 1, 1) + 0.08 * self.normal(count, 3, 1, 1)
        gain = (strength * gain).exp()
        shift = 0.06 * strength * self.normal(count, 1, 1, 1)
        return ((views / 255) ** gamma * gain + shift).clamp(0, 1) * 255

    def resampled(self, views, maps):
        """Applies one of the matrices to the columns and rows of each view."""
        which = torch.randint(len(maps), (len(views),), generator=self.generator, device=self.device)
        chosen = maps[which][:, None]
        return chosen @ views @ chosen.transpose(2, 3)

    def moved(self, views):
        count, span = len(views), MAX_MOTION_LENGTH // 2 + 1
        length, turn = (
            self.uniform(3, MAX_MOTION_LENGTH + 1, count, 1, 1),
            self.uniform(0, np.pi, count, 1, 1),
        )
        pixel = torch.arange(-span, span + 1, device=self.device)
        x, y = pixel.float(), pixel.float()[:, None]
        along, across = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
        # A line one pixel wide, anti-aliased.
        kernel = (1 - across.abs()).clamp(min=0) * (length / 2 + 0.5 - along.abs()).clamp(0, 1)
        kernel = kernel / kernel.sum((1, 2), keepdim=True)
        kernel = kernel.repeat_interleave(3, 0)[:, None]
        flat = functional.pad(views.reshape(1, -1, VIEW, VIEW), (span,) * 4, mode="reflect")
        return functional.conv2d(flat, kernel, groups=3 * count).reshape(views.shape)

    def noisy(self, views):
        return views + self.normal(*views.shape) * self.uniform(2, 20, len(views), 1, 1, 1)

    def compressed(self, views):
        return self.jpeg(views, self.uniform(20, 95, len(views)).floor())
