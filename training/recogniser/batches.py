"""What the network is shown at each step; a step's batch depends on the seed alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import degrade
from teacher import Onnx, cached, unit

# Masks are kept at two pixels a cell: a whole number of cells in patches of 8 and 14.
CELL = 2
HELD_OUT = 2000


@dataclass
class Pool:
    """Degraded faces with the teacher's verdict on each."""

    pictures: np.ndarray  # [P, 112, 112, 3] u8
    masks: np.ndarray  # [P, 56, 56] u8, 1 where the face is hidden
    face: np.ndarray  # [P] row of the face it was made from
    utility: np.ndarray  # [P] cosine of the centred embeddings, degraded and clean


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and the held-out faces on which choices are made."""
    order = np.random.default_rng([seed, 1]).permutation(count)
    held = min(HELD_OUT, count // 5)
    return np.sort(order[held:]), np.sort(order[:held])


def pool(faces, rows, clean, mean, size: int, seed: int, name: str, teacher: Onnx, work: Path) -> Pool:
    """Made once and kept in `work`; a tenth of it is left undamaged."""
    stem = f"pool-{name}-{size}-{seed}"
    paths = [work / f"{stem}.{part}.npy" for part in ("pictures", "masks", "face")]
    if not paths[2].exists():
        side = degrade.SIZE // CELL
        pictures = np.lib.format.open_memmap(paths[0], "w+", np.uint8, (size, 112, 112, 3))
        masks = np.zeros((size, side, side), np.uint8)
        face = np.random.default_rng([seed, 2]).choice(rows, size)
        for row in range(size):
            random = np.random.default_rng([seed, 3, row])
            image, mask = degrade.jitter(np.asarray(faces[face[row]]), random), None
            if random.random() < 0.9:
                image, mask = degrade.one_of_any(image, random.random(), random)
                masks[row] = mask[::CELL, ::CELL] > 0.5
            pictures[row] = image
        pictures.flush()
        np.save(paths[1], masks)
        np.save(paths[2], face)
    pictures, masks, face = (np.load(path, mmap_mode="r") for path in paths)
    degraded = cached(work / f"{stem}.embeddings.npy", teacher, pictures)
    utility = (unit(degraded - mean) * unit(clean[face] - mean)).sum(1)
    return Pool(pictures, masks, np.asarray(face), utility.astype(np.float32))


@dataclass
class Batches(torch.utils.data.Dataset):
    """Batch `step`: u8 pictures, unit targets, utility (NaN where unknown), masks."""

    faces: np.ndarray
    blends: np.ndarray | None
    targets: np.ndarray  # faces, then blends; centred and of unit length
    rows: np.ndarray
    pool: Pool
    batch: int
    pool_share: float
    damage: tuple[float, float]  # share of the fresh pictures damaged, first and last
    steps: int
    seed: int

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        random = np.random.default_rng([self.seed, 4, step])
        from_pool = int(round(self.batch * self.pool_share))
        # Mostly clean at first: strong damage from the start delays learning.
        first, last = self.damage
        damaged = first + (last - first) * step / max(self.steps, 1)
        pictures, rows = [], []
        blends = 0 if self.blends is None else len(self.blends)
        for _ in range(self.batch - from_pool):
            pick = random.integers(len(self.rows) + blends)
            if pick < len(self.rows):
                row = int(self.rows[pick])
                image = self.faces[row]
            else:
                row = len(self.faces) + int(pick) - len(self.rows)
                image = self.blends[row - len(self.faces)]
            image = degrade.jitter(np.asarray(image), random)
            if random.random() < damaged:
                image, _ = degrade.one_of_any(image, random.beta(1.2, 2), random)
            pictures.append(image)
            rows.append(row)
        picks = random.integers(len(self.pool.face), size=from_pool)
        pictures.extend(self.pool.pictures[picks])
        rows.extend(self.pool.face[picks])
        # The teacher barely tells a face from its mirror image, so the target stays.
        for i in range(self.batch - from_pool):
            if random.random() < 0.5:
                pictures[i] = pictures[i][:, ::-1]
        utility = np.full(self.batch, np.nan, np.float32)
        utility[self.batch - from_pool :] = self.pool.utility[picks]
        masks = np.zeros((self.batch, *self.pool.masks.shape[1:]), np.float32)
        masks[self.batch - from_pool :] = self.pool.masks[picks]
        return (
            torch.from_numpy(np.stack(pictures)),
            torch.from_numpy(self.targets[rows]),
            torch.from_numpy(utility),
            torch.from_numpy(masks),
        )
