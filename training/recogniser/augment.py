"""The degradations of `degrade.py` for many images at once on the device.

Images are `[B, 3, 112, 112]`, RGB, 0 to 255, f32; strengths `[B]`, 0 to 1. Each kind
returns the images and the occlusion mask (`[B, 112, 112]`, or None).
"""

import functools
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
import yaw as heads
from torch.nn import functional as F

sys.path.append(str(Path(__file__).resolve().parents[1] / "landmarks"))

from images import inverse
from jpeg import Jpeg

SIZE = 112


@functools.cache
def on(device, make):
    """The result of `make` for the device; cached, since each copy waits for the device."""
    return make(device)


def places(device):
    """x and y of each pixel, `[112, 112, 2]`."""
    place = torch.arange(float(SIZE), device=device)
    v, u = torch.meshgrid(place, place, indexing="ij")
    return torch.stack([u, v], -1)


def uniform(like, low=0.0, high=1.0, shape=None):
    return low + (high - low) * torch.rand(shape or (len(like),), device=like.device)


def filtered(x, kernels):
    """Filters each image with its own kernel `[B, K, K']`."""
    high, wide = kernels.shape[1] // 2, kernels.shape[2] // 2
    x = F.pad(x, (wide, wide, high, high), mode="reflect")
    flat = x.reshape(1, -1, *x.shape[2:])
    weights = kernels.repeat_interleave(3, 0)[:, None]
    return F.conv2d(flat, weights, groups=flat.shape[1]).reshape(len(x), 3, SIZE, SIZE)


def blur(x, strength):
    sigma = 0.5 + 4.5 * strength
    place = torch.arange(-15.0, 16.0, device=x.device)
    weights = torch.exp(-0.5 * (place / sigma[:, None]).square())
    weights = weights / weights.sum(1, keepdim=True)
    return filtered(filtered(x, weights[:, None]), weights[:, :, None]), None


def motion(x, strength):
    half = (3 + (20 * strength).round()) / 2
    angle = uniform(x, 0, math.pi)
    place = torch.arange(-11.0, 12.0, device=x.device)
    v, u = torch.meshgrid(place, place, indexing="ij")
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = u * cos + v * sin, v * cos - u * sin
    weights = (1 - across.abs()).clamp_min(0) * (half[:, None, None] + 0.5 - along.abs()).clamp(0, 1)
    return filtered(x, weights / weights.sum((1, 2), keepdim=True)), None


def coarse(device):
    """For each number of rows, the matrix `[112, 112]` that reduces a column of pixels to that many
    rows (area) and enlarges it again (linear)."""
    column = np.eye(SIZE, dtype=np.float32)
    small = [cv2.resize(column, (SIZE, rows), interpolation=cv2.INTER_AREA) for rows in range(1, SIZE + 1)]
    back = [cv2.resize(s, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for s in small]
    return torch.from_numpy(np.stack([np.zeros_like(column), *back])).to(device)


def resolution(x, strength):
    rows = (SIZE * 0.09 ** (0.3 + 0.7 * strength)).round().clamp(8, SIZE).long()
    by = on(x.device, coarse)[rows][:, None]
    return by @ x @ by.transpose(2, 3), None


def noise(x, strength):
    grain = (5 + 75 * strength)[:, None, None, None] * torch.randn_like(x)
    return (x + grain).clamp(0, 255), None


def jpeg(x, strength):
    return on(x.device, Jpeg)(x, (40 - 38 * strength).round()), None


def dark(x, strength):
    s = strength[:, None, None, None]
    return (x * (1 - 0.95 * s) + 4 * s * torch.randn_like(x)).clamp(0, 255).round(), None


def bright(x, strength):
    s = strength[:, None, None, None]
    return (x * (1 + 4 * s) + 60 * s).clamp(0, 255), None


def occlusion(x, strength):
    """A box, or in a third of the cases an ellipse, of one colour with some noise."""
    area = (0.08 + 0.52 * strength) * SIZE * SIZE
    wide = (area * uniform(x, 0.6, 1.7)).sqrt().round().clamp_max(SIZE)
    high = (area / wide).round().clamp_max(SIZE)
    left, top = uniform(x) * (SIZE - wide), uniform(x) * (SIZE - high)
    place = torch.arange(SIZE, device=x.device) + 0.5
    u = ((place - left[:, None] - wide[:, None] / 2) / (wide[:, None] / 2))[:, None, :]
    v = ((place - top[:, None] - high[:, None] / 2) / (high[:, None] / 2))[:, :, None]
    box = (u.abs() <= 1) & (v.abs() <= 1)
    oval = u.square() + v.square() <= 1
    mask = torch.where((uniform(x) < 1 / 3)[:, None, None], oval, box)
    colour = uniform(x, 0, 255, (len(x), 3, 1, 1)).expand_as(x)
    grain = uniform(x, 0, 40)[:, None, None, None] * torch.randn_like(x)
    return torch.where(mask[:, None], (colour + grain).clamp(0, 255), x), mask.to(x.dtype)


KINDS = [blur, motion, resolution, noise, jpeg, dark, bright, occlusion]


def by_parts(x, masks, strength, kinds):
    """Degrades equal parts of the batch by one kind each, instead of choosing a kind for every
    image."""
    order = torch.randperm(len(x), device=x.device)
    x, masks, strength = x[order], masks[order], strength[order]
    images, hidden = [], []
    for kind, part, mask, s in zip(
        kinds, x.tensor_split(len(kinds)), masks.tensor_split(len(kinds)), strength.tensor_split(len(kinds))
    ):
        made, over = kind(part, s) if len(part) else (part, None)
        images.append(made)
        hidden.append(mask if over is None else torch.maximum(mask, over))
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=x.device)
    return torch.cat(images)[back], torch.cat(hidden)[back]


def damaged(x, strength):
    """Applies one random kind, and a second one to three images in ten."""
    masks = torch.zeros_like(x[:, 0])
    x, masks = by_parts(x, masks, strength, KINDS)
    second = len(x) * 3 // 10
    if second:
        # The first images are already a random choice, since their first kind is random.
        twice, over = by_parts(x[:second], masks[:second], strength[:second], KINDS)
        x, masks = torch.cat([twice, x[second:]]), torch.cat([over, masks[second:]])
    return x, masks


def ways(degrees, zoom, shift, mirrored):
    """The transforms of face pixels, `[B, 2, 3]`, as in `degrade.way`."""
    middle = (SIZE - 1) / 2
    angle = torch.deg2rad(degrees)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    x = torch.stack([cos, sin, (1 - cos) * middle - sin * middle + shift[:, 0]], 1)
    y = torch.stack([-sin, cos, sin * middle + (1 - cos) * middle + shift[:, 1]], 1)
    sign = 1 - 2 * mirrored.float()
    x = sign[:, None] * x
    x[:, 2] += (SIZE - 1) * mirrored
    return torch.stack([x, y], 1)


def moved(x, matrices):
    """The transformed images; the outside is black, replicated or reflected, for a third each."""
    back = inverse(matrices)
    at = on(x.device, places).reshape(-1, 2) @ back[..., :2].transpose(1, 2) + back[..., 2][:, None]
    grid = (at.reshape(len(x), SIZE, SIZE, 2) + 0.5) * 2 / SIZE - 1
    modes = ("zeros", "border", "reflection")
    return torch.cat(
        [
            F.grid_sample(part, g, mode="bilinear", padding_mode=mode, align_corners=False)
            for part, g, mode in zip(x.tensor_split(3), grid.tensor_split(3), modes)
        ]
    )


def jitter(x, size=1.0):
    """Transforms that imitate misalignment by good landmarks; half are mirrored."""
    normal = lambda: torch.randn(len(x), device=x.device)
    shift = 2 * size * torch.stack([normal(), normal()], 1)
    return ways(3 * size * normal(), torch.exp(0.04 * size * normal()), shift, uniform(x) < 0.5)


def misaligned(x, strength):
    """Rotated, shifted and zoomed, each by a random amount."""
    # Exponential draws divided by their sum are uniform on the simplex.
    fraction = -uniform(x, 1e-6, 1, (len(x), 3)).log()
    fraction = fraction / fraction.sum(1, keepdim=True)
    fraction = (fraction * strength[:, None] * 1.5).clamp_max(1)
    sign = lambda: uniform(x).sub(0.5).sign()
    angle = uniform(x, 0, 2 * math.pi)
    shift = (40 * fraction[:, 1])[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    zoom = (1 + fraction[:, 2]) ** sign()
    return moved(x, ways(45 * fraction[:, 0] * sign(), zoom, shift, uniform(x) < 0.5))


def yaw_grids(device):
    return torch.from_numpy(heads.table()).to(device)


def yaw(x, strength):
    """The head rotated about its vertical axis, by whole degrees to a random side; black outside."""
    degrees = (heads.MAX_YAW * strength).round() * torch.where(uniform(x) < 0.5, 1, -1)
    grid = (on(x.device, yaw_grids)[degrees.long() + heads.MAX_YAW] + 0.5) * 2 / SIZE - 1
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def relit(x):
    gain, offset = uniform(x, 0.8, 1.2), uniform(x, -10, 10)
    return (x * gain[:, None, None, None] + offset[:, None, None, None]).clamp(0, 255)


def smooth(x, cells, channels):
    """Smooth noise over the image, `[B, C, 112, 112]`, with variance 1."""
    grain = torch.randn(len(x), channels, cells, cells, device=x.device)
    return F.interpolate(grain, size=SIZE, mode="bicubic", align_corners=False)


def new_faces(one, other):
    """Faces that belong to nobody: pairs of aligned faces blended evenly or spatially, some of them
    unblended; all slightly warped and tinted."""
    other = torch.where((uniform(one) < 0.5)[:, None, None, None], other.flip(3), other)
    even = uniform(one, 0.3, 0.7)[:, None, None, None]
    patchy = torch.sigmoid(3 * smooth(one, 4, 1))
    fraction = torch.where((uniform(one) < 0.4)[:, None, None, None], patchy, even)
    fraction = torch.where((uniform(one) < 0.4)[:, None, None, None], torch.ones_like(fraction), fraction)
    x = fraction * one + (1 - fraction) * other
    # Displacements in pixels, for two thirds of the faces.
    size = (uniform(x) < 2 / 3).float() * uniform(x, 0, 3)
    away = size[:, None, None, None] * smooth(x, 5, 2)
    grid = (on(x.device, places) + away.permute(0, 2, 3, 1) + 0.5) * 2 / SIZE - 1
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    tint = 1 + 0.08 * torch.randn(len(x), 3, 1, 1, device=x.device)
    x = (x * tint).clamp(0, 255)
    return torch.where((uniform(x) < 0.5)[:, None, None, None], x.flip(3), x)
