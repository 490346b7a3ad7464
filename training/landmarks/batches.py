"""Batches of views for training, drawn and degraded on the device.

Faces come from one or two sets. A view has errors like those of the detector's landmarks, or of
those from a previous pass, and is degraded.
"""

from dataclasses import dataclass

import numpy as np
import torch
from geometry import EYES, MIRRORED, TEMPLATE, VIEW
from images import Images, apply, compose, fit, similarity
from views import RESIZE, SHIFT, TURN

# Errors of views, as factors on the standard deviations, and their frequencies: from the second
# pass on, views are nearly right.
STRENGTHS, STRENGTH_FRACTIONS = (0.4, 1.0, 2.2), (0.35, 0.4, 0.25)
# A label has half the weight if the teacher's views spread by this fraction of the inter-eye
# distance.
HALF_WEIGHT = 0.08


@dataclass
class Set:
    """Faces of a set of images: row, points `[n, 5, 2]` in pixel centres, weight."""

    images: Images
    image: torch.Tensor
    points: torch.Tensor
    weight: torch.Tensor
    bordered: bool = False

    @classmethod
    def of(cls, images, labels, kept, most=1.0, bordered=False):
        """The kept labels, with a weight of at most `most`."""
        tensor = lambda values: torch.from_numpy(values[kept]).to(images.device)
        weight = most / (1 + (tensor(labels["spread"]).float() / HALF_WEIGHT) ** 2)
        points = tensor(labels["points"]).float() - 0.5
        return cls(images, tensor(labels["image"]).long(), points, weight, bordered)

    def __len__(self):
        return len(self.image)


def off(count, generator, device, strengths=STRENGTHS, fractions=STRENGTH_FRACTIONS):
    """The effect of slightly wrong landmarks on views, `[n, 2, 3]`; see `views.off`."""
    normal = lambda *shape: torch.randn(shape, generator=generator, device=device)
    chosen = torch.multinomial(torch.tensor(fractions, device=device), count, True, generator=generator)
    strength = torch.tensor(strengths, device=device)[chosen]
    shift = SHIFT * EYES * strength[:, None] * normal(count, 2)
    turn = np.deg2rad(TURN) * strength * normal(count)
    scale = (RESIZE * strength * normal(count)).exp()
    x, y = scale * turn.cos(), scale * turn.sin()
    middle = (VIEW - 1) / 2
    moved = torch.stack([middle - (x - y) * middle, middle - (x + y) * middle], 1)
    return similarity(x, y, moved + shift)


def mirrors(mirrored, side):
    """Transforms `[n, 2, 3]` that mirror the chosen images."""
    sign = torch.where(mirrored, -1.0, 1.0)
    zero, one = torch.zeros_like(sign), torch.ones_like(sign)
    rows = [sign, zero, torch.where(mirrored, side - 1.0, 0.0), zero, one, zero]
    return torch.stack(rows, 1).reshape(-1, 2, 3)


class Batches:
    """Endless batches `(views, points, weights)`, with a fixed number from each set."""

    def __init__(self, sets, counts, degrader, generator):
        self.parts, self.degrader, self.generator = list(zip(sets, counts)), degrader, generator
        device = degrader.device
        self.template = torch.tensor(TEMPLATE, dtype=torch.float32, device=device)
        self.exchanged = torch.tensor(MIRRORED, device=device)

    @torch.no_grad()
    def next(self):
        views, points, weight = (torch.cat(parts) for parts in zip(*(self.of(*p) for p in self.parts)))
        return self.degrader(views, points), points, weight

    def of(self, faces, count):
        device, generator = self.degrader.device, self.generator
        chosen = torch.randint(len(faces), (count,), generator=generator, device=device)
        mirrored = torch.rand(count, generator=generator, device=device) < 0.5
        flip = mirrors(mirrored, faces.images.side)
        points = apply(flip, faces.points[chosen])
        points = torch.where(mirrored[:, None, None], points[:, self.exchanged], points)
        matrices = compose(off(count, generator, device), fit(points, self.template))
        there = compose(matrices, flip)
        rows = faces.image[chosen]
        # There are no pixels around an aligned crop. Half of them get a black border and half a
        # mirrored one, so that the network does not associate black borders with aligned faces.
        half = count // 2 if faces.bordered else count
        views = [faces.images.views(rows[:half], there[:half], VIEW)]
        if half < count:
            views.append(faces.images.views(rows[half:], there[half:], VIEW, border="reflection"))
        return torch.cat(views).round(), apply(matrices, points), faces.weight[chosen]
