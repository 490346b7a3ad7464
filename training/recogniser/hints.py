"""The teacher's last feature map, projected onto the directions of largest variance.

The student's last tokens must predict it (a hint, Romero et al., ICLR 2015), because 49
positions per image carry more information than one embedding.
"""

from pathlib import Path

import numpy as np
import torch
from augment import inverse
from torch.nn import functional as F

SIZE = 112
# Side of the teacher's last map, in cells.
MAP_SIDE = 7
DIRECTIONS = 64


def directions(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[C]` and principal directions `[C, 64]` of maps `[B, C, 7, 7]`, scaled so
    that the hints have a mean square of 1."""
    cells = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1]).astype(np.float64)
    mean = cells.mean(0)
    values, vectors = np.linalg.eigh(np.cov((cells - mean).T))
    scale = np.sqrt(values[-DIRECTIONS:].mean())
    return mean.astype(np.float32), (vectors[:, -DIRECTIONS:] / scale).astype(np.float32)


def cached(path: Path, teacher, images, basis: Path) -> np.ndarray:
    """Hints `[B, 64, 7, 7]` f16 of all images, loaded from `path` or computed and stored
    there. `basis` stores the directions, which are determined from the first images."""
    if path.exists():
        return np.load(path, mmap_mode="r")
    part, chunk = path.with_suffix(".part"), 1024
    out = np.lib.format.open_memmap(part, "w+", np.float16, (len(images), DIRECTIONS, MAP_SIDE, MAP_SIDE))
    for start in range(0, len(images), chunk):
        maps = teacher.embed(images[start : start + chunk])
        if not basis.exists():
            mean, vectors = directions(maps)
            np.savez(basis, mean=mean, vectors=vectors)
        kept = np.load(basis)
        flat = maps.reshape(len(maps), -1, MAP_SIDE**2) - kept["mean"][:, None]
        made = np.matmul(kept["vectors"].T, flat)
        out[start : start + len(maps)] = made.reshape(out[start : start + len(maps)].shape)
        print(f"{path.name}: {start + len(maps)} of {len(images)}", flush=True)
    out.flush()
    part.rename(path)
    return np.load(path, mmap_mode="r")


def hints_at_patches(maps, ways, side: int):
    """Hints `[B, N, 64]` at the centres of `side` squared patches of images
    transformed by `ways` `[B, 2, 3]` (pixels of the face to pixels of the image)."""
    centre = (torch.arange(side, device=ways.device) + 0.5) * (SIZE / side) - 0.5
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    back = inverse(ways.float())
    at = torch.stack([x, y], -1).reshape(-1, 2) @ back[..., :2].transpose(1, 2) + back[..., 2][:, None]
    at = at.reshape(len(ways), side, side, 2)
    grid = (at + 0.5) / (SIZE / 2) - 1
    taken = F.grid_sample(maps.float(), grid, padding_mode="border", align_corners=False)
    return taken.flatten(2).transpose(1, 2)
