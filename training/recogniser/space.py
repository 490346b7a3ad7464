"""Where the student's embedding is to lie."""

import numpy as np


def unit(embeddings):
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), 1e-9)


class Space:
    """The teacher's space, centred, its strong directions damped (by the fourth root
    of their variance), of unit length."""

    def __init__(self, clean: np.ndarray):
        self.mean = clean.mean(0)
        values, vectors = np.linalg.eigh(np.cov((clean - self.mean).T))
        damped = (values.mean() / np.maximum(values, 1e-6 * values.mean())) ** 0.25
        self.matrix = (vectors * damped) @ vectors.T

    def __call__(self, embeddings) -> np.ndarray:
        return unit((embeddings - self.mean) @ self.matrix).astype(np.float32)
