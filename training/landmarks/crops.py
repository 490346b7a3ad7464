"""Corrects the teacher's labels of aligned crops to match those of whole images.

An aligned crop ends below the mouth, and without a chin the teacher places the mouth corners a
few percent of the inter-eye distance higher than in the whole image. This shift, as a function of
the points themselves, is fitted on whole images that are cropped in the same way and passed to
the teacher.
"""

import numpy as np
import torch
from batch_labels import label
from geometry import MIRRORED, TEMPLATE_112
from images import Images, apply, fit

SIDE = 112
EYES = float(np.linalg.norm(TEMPLATE_112[1] - TEMPLATE_112[0]))
# Views per crop for the fit, and its ridge penalty as a fraction of the number of crops.
VIEWS, RIDGE = 16, 0.001
# Standard deviation of the landmarks that a crop is made from, as a fraction of the inter-eye
# distance: that of one output of the teacher.
LANDMARK_NOISE = 0.02


def features(points):
    """Features `[n, 66]` of points in a crop: a constant, the points and their products."""
    x = ((points - 0.5 - TEMPLATE_112) / EYES).reshape(-1, 10)
    first, second = np.triu_indices(10)
    return np.concatenate([np.ones((len(x), 1)), x, 4 * x[:, first] * x[:, second]], 1)


def mirrored(points):
    points = points[:, MIRRORED].copy()
    points[..., 0] = SIDE - points[..., 0]
    return points


def fitted(seen, truth):
    """Weights `[66, 10]` for the shift from points in crops to the true ones."""
    seen, truth = (np.concatenate([p, mirrored(p)]) for p in (seen, truth))
    x, y = features(seen), (truth - seen).reshape(-1, 10)
    penalty = RIDGE * len(x) * np.eye(x.shape[1])
    penalty[0, 0] = 0
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    # Refit without outliers, such as pairs of two different faces.
    away = np.abs(y - x @ weights).max(1)
    near = away <= 5 * np.median(away)
    x, y = x[near], y[near]
    return np.linalg.solve(x.T @ x + penalty, x.T @ y)


def corrected(points, weights):
    return (points + (features(points) @ weights).reshape(-1, 5, 2)).astype(np.float32)


def correction(teacher, images, labels, hidden, until, generator):
    """Weights for `corrected`, from the whole images of a set except the held-out ones.

    For the held-out images, prints the distance between the labels of crops and of whole images
    before and after the correction.
    """
    device = images.device
    rows, points = (torch.from_numpy(labels[n]).to(device) for n in ("image", "points"))
    points = points.float() - 0.5
    eyes = (points[:, 1] - points[:, 0]).norm(dim=1)[:, None, None]
    noise = torch.randn(points.shape, generator=generator, device=device)
    template = torch.tensor(TEMPLATE_112, dtype=torch.float32, device=device)
    matrices = fit(points + LANDMARK_NOISE * eyes * noise, template)
    parts = range(0, len(rows), 512)
    cut = [
        images.views(rows[p : p + 512].long(), matrices[p : p + 512], SIDE).round().byte().permute(0, 2, 3, 1)
        for p in parts
    ]
    crops = Images(torch.cat(cut).cpu().numpy(), device)
    truth = (apply(matrices, points) + 0.5).cpu().numpy()
    found = label(teacher, crops, VIEWS, until, generator, "crops of images")
    truth, seen, held = truth[found["image"]], found["points"], hidden[labels["image"][found["image"]]]
    weights = fitted(seen[~held], truth[~held])
    if held.any():
        for name, points in (("as they are", seen), ("corrected", corrected(seen, weights))):
            away = np.linalg.norm(points - truth, axis=2)[held].mean(1) / EYES
            p50, p95 = np.percentile(away, [50, 95])
            print(f"labels of crops, {name}: median {p50:.4f}, 95th percentile {p95:.4f}", flush=True)
    return weights
