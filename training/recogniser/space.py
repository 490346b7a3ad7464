"""The space of the target embeddings."""

import numpy as np


def unit(embeddings):
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), 1e-9)


class Space:
    """The teacher's embeddings, centred, half-whitened (divided by the fourth root of the
    variance) and normalised."""

    def __init__(self, clean: np.ndarray):
        self.mean = clean.mean(0)
        values, vectors = np.linalg.eigh(np.cov((clean - self.mean).T))
        damped = (values.mean() / np.maximum(values, 1e-6 * values.mean())) ** 0.25
        self.matrix = (vectors * damped) @ vectors.T

    def __call__(self, embeddings) -> np.ndarray:
        return unit((embeddings - self.mean) @ self.matrix).astype(np.float32)
