"""The upright view of a face from five rough landmarks.

Matches `crates/attn-fiqa/src/detect/refine.rs`. Coordinates in this file are relative to the
centre of the first pixel, as in OpenCV and the program.
"""

import cv2
import numpy as np

# Side of a view, and inter-eye distance of a face that fits the template, in pixels of the view.
VIEW = 80
EYES = 27.0
# Left eye, right eye, nose tip, mouth corners, in a 112x112 crop.
TEMPLATE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
# Mirroring swaps the eyes and the mouth corners.
MIRRORED = [1, 0, 2, 4, 3]

_SCALE = EYES / np.linalg.norm(TEMPLATE_112[1] - TEMPLATE_112[0])
# The template in a view, with the mean of its points in the middle.
TEMPLATE = (TEMPLATE_112 - TEMPLATE_112.mean(0)) * _SCALE + (VIEW - 1) / 2


def fit(points, target=TEMPLATE):
    """The similarity `[2, 3]` that brings points closest to the target (Umeyama 1991)."""
    p = (points - points.mean(0)) @ [1, 1j]
    q = (target - target.mean(0)) @ [1, 1j]
    factor = (p.conj() @ q) / (p.conj() @ p).real
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.concatenate([linear, (target.mean(0) - linear @ points.mean(0))[:, None]], 1)


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix):
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, (-linear @ matrix[:, 2])[:, None]], 1)


def warp(image, matrix, side=VIEW):
    """The program's warp: block average when reducing by two or more, then bilinear, black outside."""
    factor = int(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor >= 2:
        height, width = (length // factor * factor for length in image.shape[:2])
        image = cv2.resize(
            image[:height, :width], (width // factor, height // factor), interpolation=cv2.INTER_AREA
        )
        # A block's centre is at `factor * x + (factor - 1) / 2` in the image.
        matrix = np.concatenate(
            [matrix[:, :2] * factor, apply(matrix, np.full(2, (factor - 1) / 2))[:, None]], 1
        )
    return cv2.warpAffine(image, matrix, (side, side))


def mirror(points, side=VIEW):
    """Points `[..., 5, 2]` in the mirrored view."""
    points = points[..., MIRRORED, :].copy()
    points[..., 0] = side - 1 - points[..., 0]
    return points
