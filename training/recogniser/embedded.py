"""Embeddings of images, stored in files."""

from pathlib import Path

import numpy as np


def cached(path: Path, recogniser, images) -> np.ndarray:
    """Embeddings loaded from `path`, or computed and stored there. Resumes after the last complete chunk."""
    if path.exists():
        return np.load(path)
    part, chunk = path.with_suffix(".part.npy"), 2048
    rows = [np.load(part)] if part.exists() else []
    done = len(rows[0]) if rows else 0
    while done < len(images):
        block = images[done : done + chunk]
        rows.append(recogniser.embed(block))
        done += len(block)
        np.save(part, np.concatenate(rows))
        print(f"{path.name}: {done} of {len(images)}", flush=True)
    np.save(path, np.concatenate(rows))
    part.unlink()
    return np.load(path)
