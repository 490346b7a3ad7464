"""The teacher's landmarks for all faces of a set, averaged over many views, on the device.

The batched form of `labels.py`: each face is turned upright and passed to the teacher at
several sizes, slightly shifted and rotated, plain and mirrored; the label is the mean of the
outputs without outliers. A set is `Images` with one face each, in the middle. Coordinates
in this file are relative to the outer corner of the image.
"""

import time

import numpy as np
import torch
from geometry import MIRRORED
from images import apply, inverse, scale, similarity
from labels import GRID, MIN_VIEW_FRACTION, OUTLIER, RESIZE, SIZES, TURN
from torch.nn import functional

# Sides, as fractions of the image side, of the views in which the face is first searched.
FIRST = {224: (0.43, 0.57, 0.79, 1.0), 112: (0.72, 1.0, 1.36)}
# Sizes of the face in the first upright views, which determine the rotation of the others.
UPRIGHT = (100.0, 130.0)
# Minimum mean score of a face over the first views.
MIN_MEAN_SCORE = 0.62
# Views between two readings of the clock: each size, plain and mirrored.
VIEWS_PER_ROUND = 2 * len(SIZES)
# Total pixels of the views in one teacher batch.
MAX_BATCH_PIXELS = {"cuda": 1 << 24, "cpu": 1 << 20}


def detect_in_views(teacher, images, rows, linear, middle, aim, side, mirrored, reach):
    """Faces `[n, 15]` from one view each, in pixels of the images, and which were found.

    A view is rotated and scaled by `linear` `[n, 2, 2]` and shows the image point `middle` at
    `aim`; the centre of the face is searched within `reach` pixels of that.
    """
    way = aim - (linear @ middle[:, :, None])[:, :, 0]
    # From outer corners to the centres of the first pixels.
    shift = way + linear.sum(2) / 2 - 0.5
    matrices = torch.cat([linear, shift[:, :, None]], 2)
    size = scale(matrices)
    if size.mean() < 0.8:
        views = shrunk(images, rows, matrices, side)
    else:
        views = images.views(rows, matrices, side, blocks=False)
    views = views.round()
    if mirrored:
        views, aim = views.flip(3), torch.stack([side - aim[:, 0], aim[:, 1]], 1)
    faces, seen = teacher.central(views, aim, reach)
    points = faces[:, 5:].reshape(-1, 5, 2)
    centre = faces[:, 1:3] + faces[:, 3:5] / 2
    if mirrored:
        flip = lambda p: torch.stack([side - p[..., 0], p[..., 1]], -1)
        points, centre = flip(points)[:, MIRRORED], flip(centre)
    back = inverse(torch.cat([linear, way[:, :, None]], 2))
    points, centre = apply(back, points), apply(back, centre[:, None])[:, 0]
    box = faces[:, 3:5] / size[:, None]
    faces = torch.cat([faces[:, :1], centre - box / 2, box, points.reshape(-1, 10)], 1)
    return faces, seen


def shrunk(images, rows, matrices, side):
    """Anti-aliased views: a Gaussian of 0.45 pixels."""
    half = torch.tensor([[2.0, 0, 0.5], [0, 2, 0.5]], device=matrices.device)
    finer = torch.cat([half[:, :2] @ matrices[:, :, :2], half[:, :2] @ matrices[:, :, 2:] + half[:, 2:]], 2)
    fine = images.views(rows, finer, 2 * side, blocks=False)
    x = torch.arange(6, device=fine.device) - 2.5
    weights = torch.exp(-x.square() / (2 * 0.9**2))
    weights = weights / weights.sum()
    kernel = (weights[:, None] * weights).expand(3, 1, 6, 6)
    return functional.conv2d(fine, kernel, stride=2, padding=2, groups=3)


def run_in_parts(images, rows, side, ask):
    """Concatenated results of `ask(part)` for parts of the rows that fit on the device."""
    count = max(1, MAX_BATCH_PIXELS[images.device.type] // side**2)
    answers = [ask(slice(start, start + count)) for start in range(0, len(rows), count)]
    return [torch.cat(parts) for parts in zip(*answers)]


def stage(size):
    """Side of a view in which a face of this size can lie anywhere on the coarsest grid."""
    return int(np.ceil((1.7 * size + GRID) / 32) * 32)


@torch.inference_mode()
def found(teacher, images):
    """Rough faces `[n, 15]` of all images, and which images have one."""
    rows = torch.arange(len(images), device=images.device)
    passes = []
    for fraction in FIRST[images.side]:
        inner = fraction * images.side
        side = int(np.ceil(1.5 * inner / 32) * 32)

        def ask(part, mirrored):
            count = len(rows[part])
            linear = torch.eye(2, device=rows.device).expand(count, 2, 2) * fraction
            middle = torch.full((count, 2), images.side / 2, device=rows.device)
            aim = torch.full((count, 2), side / 2, device=rows.device)
            reach = torch.full((count,), 0.3 * inner, device=rows.device)
            return detect_in_views(teacher, images, rows[part], linear, middle, aim, side, mirrored, reach)

        for mirrored in (False, True):
            passes.append(run_in_parts(images, rows, side, lambda part: ask(part, mirrored)))
    faces, seen = (torch.stack(parts, 1) for parts in zip(*passes))
    score = (faces[..., 0] * seen).sum(1) / faces.shape[1]
    middle = median(faces, seen)
    middle[:, 0] = score
    return middle, score >= MIN_MEAN_SCORE


def median(values, seen):
    """Medians `[n, ...]` over the found entries of `[n, views, ...]`; zeros if none was found."""
    seen = seen.reshape(*seen.shape, *[1] * (values.ndim - 2))
    masked = torch.where(seen, values, torch.nan)
    return torch.nanquantile(masked.double(), 0.5, dim=1).nan_to_num().float()


def upright(teacher, images, rows, faces, points, size, mirrored, generator=None):
    """Points `[n, 5, 2]` from one upright view of each face, and which were found."""
    side = stage(size)
    chance = torch.rand(len(rows), 4, generator=generator, device=rows.device) * 2 - 1
    chance = chance if generator else torch.zeros_like(chance)

    def ask(part):
        chosen, box = points[part], faces[part, 1:5]
        eyes = chosen[:, 1] - chosen[:, 0]
        down = chosen[:, 3:].mean(1) - chosen[:, :2].mean(1)
        eyes, down = (functional.normalize(way, dim=1) for way in (eyes, down))
        # The line of the eyes and the vertical of the face; not perpendicular for a turned head.
        along = eyes + torch.stack([down[:, 1], -down[:, 0]], 1)
        turn = torch.deg2rad(TURN * chance[part, 0]) - torch.atan2(along[:, 1], along[:, 0])
        target = size * torch.exp(RESIZE * chance[part, 1])
        factor = target / (box[:, 2] * box[:, 3]).clamp(min=1).sqrt()
        linear = similarity(factor * turn.cos(), factor * turn.sin(), torch.zeros_like(eyes))[:, :, :2]
        aim = side / 2 + chance[part, 2:] * GRID / 2
        middle = box[:, :2] + box[:, 2:] / 2
        seen, good = detect_in_views(
            teacher, images, rows[part], linear, middle, aim, side, mirrored, 0.3 * target
        )
        return seen[:, 5:].reshape(-1, 5, 2), good

    return run_in_parts(images, rows, side, ask)


@torch.inference_mode()
def label(teacher, images, views, until, generator, name):
    """Labels of a set, as numpy: `image`, `box`, `points`, `spread`, `views`.

    Up to `views` views of each face, fewer if the clock (`time.monotonic`) passes `until`
    first.
    """
    begun = time.monotonic()
    faces, certain = found(teacher, images)
    rows = certain.nonzero()[:, 0]
    # Sort by size: whether views are reduced is decided for a whole part.
    rows = rows[(faces[rows, 3] * faces[rows, 4]).argsort()]
    faces = faces[rows]
    points = faces[:, 5:].reshape(-1, 5, 2)
    first = [upright(teacher, images, rows, faces, points, s, m) for s in UPRIGHT for m in (False, True)]
    first = [torch.stack(parts, 1) for parts in zip(*first)]
    points = torch.where(first[1].any(1)[:, None, None], median(*first), points)
    spent = time.monotonic() - begun
    print(f"teacher: {name}: {len(rows)} of {len(images)} faces, {spent:.1f} s", flush=True)
    answers, order = [], torch.argsort(rows)
    for number in range(views):
        if number % VIEWS_PER_ROUND == 0 and answers:
            # The device runs asynchronously: wait for it before reading the clock.
            answers[-1][1].sum().item()
            if time.monotonic() > until:
                break
        size = SIZES[number // 2 % len(SIZES)]
        answers.append(upright(teacher, images, rows, faces, points, size, number % 2 == 1, generator))
    mirrored = torch.arange(len(answers), device=rows.device) % 2 == 1
    parts = zip(*(part.split(4096) for part in (*(torch.stack(a, 1) for a in zip(*answers)), faces)))
    means = [mean(points, seen, face, mirrored) for points, seen, face in parts]
    mean_points, spread, used, good = (torch.cat(part)[order] for part in zip(*means))
    kept = good.cpu().numpy()
    result = {
        "image": rows[order].cpu().numpy()[kept].astype(np.int32),
        "box": faces[order][:, 1:5].cpu().numpy()[kept],
        "points": mean_points.cpu().numpy()[kept],
        "spread": spread.cpu().numpy()[kept],
        "views": used.cpu().numpy()[kept].astype(np.int32),
    }
    spent = time.monotonic() - begun
    print(
        f"teacher: {name}: {kept.sum()} labels of {len(answers)} views, "
        f"median spread {np.median(result['spread']):.4f}, {spent:.1f} s",
        flush=True,
    )
    return result


def mean(points, seen, faces, mirrored):
    """Mean points, spread, number of views and whether there are enough, for each face."""
    middle = median(points, seen)
    size = (faces[:, 3] * faces[:, 4]).clamp(min=1).sqrt()
    eyes = torch.maximum((middle[:, 1] - middle[:, 0]).norm(dim=1), 0.3 * size)
    away = (points - middle[:, None]).norm(dim=3).mean(2)
    near = seen & (away <= OUTLIER * median(away, seen)[:, None])
    sides = [near & (mirrored == side) for side in (False, True)]
    count = [side.sum(1) for side in sides]
    # Plain and mirrored views have equal weight, since the teacher is not symmetric.
    halves = [
        torch.where(side[:, :, None, None], points, 0).sum(1) / number.clamp(min=1)[:, None, None]
        for side, number in zip(sides, count)
    ]
    both = (halves[0] + halves[1]) / 2
    spread = torch.where(near, (points - both[:, None]).norm(dim=3).mean(2), 0).sum(1)
    spread = spread / near.sum(1).clamp(min=1) / eyes
    good = (seen.float().mean(1) >= MIN_VIEW_FRACTION) & (count[0] > 0) & (count[1] > 0)
    return both, spread, near.sum(1), good
