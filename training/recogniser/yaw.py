"""A head rotated about its vertical axis, as by `attn-fiqa degrade --kinds yaw`.

The aligned crop is treated as an image of an ellipsoid with a nose in front of a plane. This surface
is rotated, projected from far away, and aligned again by the rotated landmarks. The constants match
`crates/attn-fiqa-eval/src/degrade/yaw.rs`. The point that a pixel shows depends only on the angle, so
one table of whole degrees serves all images.
"""

import functools
import math
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "landmarks"))

import geometry

SIZE = 112
# Maximum angle to either side, in degrees.
MAX_YAW = 75
# In pixels: centre of the head; its half axes across, down and towards the camera; tip of the nose,
# its height above the ellipsoid, and its horizontal and vertical variances.
CENTRE = (56.0, 66.0)
HALF_AXES = (50.0, 66.0, 52.0)
NOSE, NOSE_HEIGHT, NOSE_VARIANCES = (56.0, 69.0), 14.0, (30.0, 60.0)
# Spacing, in columns of the crop, at which the surface is approximated by straight lines.
STEP = 0.5
# Coordinate for pixels where nothing is seen: outside the image, and therefore black.
NOWHERE = -1.0


def height(x, y):
    """Height of the surface above the plane behind the head."""
    across, down = (x - CENTRE[0]) / HALF_AXES[0], (y - CENTRE[1]) / HALF_AXES[1]
    ellipsoid = HALF_AXES[2] * np.sqrt(np.maximum(1 - across**2 - down**2, 0))
    from_nose = (x - NOSE[0]) ** 2 / NOSE_VARIANCES[0] + (y - NOSE[1]) ** 2 / NOSE_VARIANCES[1]
    return ellipsoid + NOSE_HEIGHT * np.exp(-from_nose / 2)


def turned(x, y, angle):
    """Column and height of the surface point at `(x, y)` after a rotation by `angle` (radians)."""
    across, up = x - CENTRE[0], height(x, y)
    sine, cosine = math.sin(angle), math.cos(angle)
    return CENTRE[0] + across * cosine + up * sine, up * cosine - across * sine


@functools.cache
def origins(degrees):
    """The crop coordinates `[112, 112, 2]`, x and y, shown by each pixel of the rotated face; (-1, -1)
    where nothing is seen. Positive angles rotate to the right."""
    angle = math.radians(degrees)
    points = geometry.TEMPLATE_112
    rotated = np.stack([turned(points[:, 0], points[:, 1], angle)[0], points[:, 1]], 1)
    back = geometry.inverse(geometry.fit(rotated, points))
    pixels = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1)
    x, y = np.moveaxis(geometry.apply(back, pixels), -1, 0)

    # From left to right along the surface: the visible point is the nearest to the camera.
    nearest, origin = np.full_like(x, -np.inf), np.full_like(x, np.nan)
    columns = np.arange(0, SIZE + STEP, STEP) - 0.5
    place, up = turned(columns[0], y, angle)
    for column in columns[1:]:
        place_before, up_before = place, up
        place, up = turned(column, y, angle)
        # Where both places coincide, the fraction is undefined and nothing is seen.
        with np.errstate(divide="ignore", invalid="ignore"):
            fraction = (x - place_before) / (place - place_before)
            there = up_before + (up - up_before) * fraction
            seen = (fraction >= 0) & (fraction <= 1) & (there > nearest)
        nearest = np.where(seen, there, nearest)
        origin = np.where(seen, column - STEP + STEP * fraction, origin)
    both = np.stack([origin, y], -1)
    both[np.isnan(origin)] = NOWHERE
    return both.astype(np.float32)


def table():
    """`origins` for every whole degree from -75 to 75, `[151, 112, 112, 2]`."""
    return np.stack([origins(degrees) for degrees in range(-MAX_YAW, MAX_YAW + 1)])
