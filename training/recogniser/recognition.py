"""How likely the teacher is to recognise an image: the target of the score.

The probability of a match as a function of the norm of the teacher's embedding, as fitted by
`attn-fiqa calibrate` (docs/quality.md). Unlike the cosine to the clean face, it is also defined for
clean faces and differs between them, mainly by pose.
"""

from dataclasses import dataclass

import numpy as np
import torch
from space import unit

FMR = 1e-3
# Number of faces compared with each other to determine the threshold.
COMPARED = 4000
NEWTON_STEPS = 50


def threshold(clean: np.ndarray) -> float:
    """The lowest cosine at which at most `FMR` of the comparisons between clean faces match."""
    faces = unit(clean[:COMPARED].astype(np.float32))
    cosines = (faces @ faces.T)[np.tril_indices(len(faces), -1)]
    allowed = int(len(cosines) * FMR)
    if allowed < 3:
        raise SystemExit(
            f"{len(faces)} faces are too few for a threshold at FMR {FMR}: at least 78 are needed"
        )
    highest = np.partition(cosines, len(cosines) - allowed - 1)[len(cosines) - allowed - 1]
    return float(np.nextafter(highest, np.float32(2)))


def logistic(values, outcomes):
    """Slope and intercept of the maximum-likelihood probability of the outcomes."""
    mean, deviation = values.mean(), values.std()
    x = np.stack([(values - mean) / deviation, np.ones_like(values)], 1)
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ weights))
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + 1e-9 * np.eye(2), x.T @ (outcomes - p))
        # A full step may overshoot.
        weights += step * min(1, 4 / max(abs(step).max(), 1e-12))
    slope = weights[0] / deviation
    return slope, weights[1] - slope * mean


@dataclass
class Recognition:
    """The probability of a match as a function of the embedding norm."""

    threshold: float
    slope: float
    intercept: float
    matches: float  # fraction of the images it was fitted to

    @classmethod
    def of(cls, clean: np.ndarray, damaged: np.ndarray, originals: np.ndarray):
        """From the teacher's embeddings of clean faces, of damaged images, and of the clean face that
        each of these was made from."""
        at = threshold(clean)
        outcomes = (unit(damaged) * unit(originals)).sum(1) >= at
        if outcomes.all() or not outcomes.any():
            raise SystemExit("all damaged images match their clean face, or none: no target can be fitted")
        slope, intercept = logistic(np.linalg.norm(damaged, axis=1).astype(np.float64), outcomes)
        return cls(at, float(slope), float(intercept), float(outcomes.mean()))

    def __call__(self, embeddings: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.slope * embeddings.norm(dim=-1) + self.intercept)

    def __str__(self):
        # p = sigmoid((norm - middle) / width)
        middle, width = -self.intercept / self.slope, 1 / self.slope
        return (
            f"threshold {self.threshold:.3f}, {100 * self.matches:.0f} % of the damaged images match, "
            f"probability sigmoid((norm - {middle:.2f}) / {width:.2f})"
        )
