"""Training batches; the batch of a step depends only on the seed."""

from dataclasses import dataclass
from pathlib import Path

import degrade
import numpy as np
import torch
from embedded import cached
from recognition import Recognition
from space import unit

# Mask cells are two pixels wide, so that patches of 8 and of 14 contain a whole number of cells.
CELL = 2
HELD_OUT = 2000
# Fractions of the assessed images.
MISALIGNED, YAWED = 0.25, 0.12
# Number of other faces' targets that each batch is contrasted with.
NUM_NEGATIVES = 1024


@dataclass
class Pool:
    """Degraded faces, each with its utility as measured by the teacher."""

    images: np.ndarray  # [P, 112, 112, 3] u8
    masks: np.ndarray  # [P, 56, 56] u8, 1 where the face is occluded
    face: np.ndarray  # [P] row of the source face
    utility: np.ndarray  # [P] cosine of the centred embeddings, degraded and clean
    embeddings: np.ndarray  # [P, E] from the teacher
    quality: np.ndarray  # [P] target of the score

    def follow(self, recognition: Recognition):
        """Makes the probability of a match, instead of utility, the target of the score."""
        self.quality = recognition(torch.from_numpy(self.embeddings)).numpy()


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training faces, and of the held-out faces on which choices are made."""
    order = np.random.default_rng([seed, 1]).permutation(count)
    held = min(HELD_OUT, count // 5)
    return np.sort(order[held:]), np.sort(order[:held])


def pool(faces, rows, clean, mean, size: int, seed: int, name: str, teacher, work: Path) -> Pool:
    """A pool of degraded faces, made once and stored in `work`. Some are misaligned or turned instead
    of degraded, and a tenth of the rest is unchanged. The target of the score is utility."""
    stem = f"pool-{MISALIGNED}-{YAWED}-{name}-{size}-{seed}"
    paths = [work / f"{stem}.{part}.npy" for part in ("images", "masks", "face")]
    if not paths[2].exists():
        side = degrade.SIZE // CELL
        images = np.lib.format.open_memmap(paths[0], "w+", np.uint8, (size, 112, 112, 3))
        masks = np.zeros((size, side, side), np.uint8)
        face = np.random.default_rng([seed, 2]).choice(rows, size)
        for row in range(size):
            random = np.random.default_rng([seed, 3, row])
            image = degrade.relit(np.asarray(faces[face[row]]), random)
            draw = random.random()
            if draw < MISALIGNED:
                image = degrade.misaligned(image, random.random(), random)
            elif draw < MISALIGNED + YAWED:
                image, _ = degrade.yaw(image, random.random(), random)
            elif random.random() < 0.9:
                image, mask = degrade.random_degradation(image, random.random(), random)
                masks[row] = mask[::CELL, ::CELL] > 0.5
            images[row] = image
        images.flush()
        np.save(paths[1], masks)
        np.save(paths[2], face)
    images, masks, face = (np.load(path, mmap_mode="r") for path in paths)
    degraded = cached(work / f"{stem}.embeddings.npy", teacher, images)
    utility = (unit(degraded - mean) * unit(clean[face] - mean)).sum(1)
    utility = utility.astype(np.float32)
    return Pool(images, masks, np.asarray(face), utility, degraded, utility)


@dataclass
class Batches(torch.utils.data.Dataset):
    """Batch `step`: first the fresh images, then those of the pool."""

    faces: np.ndarray
    blends: np.ndarray | None
    targets: np.ndarray  # faces, then blends; of unit length
    quality: np.ndarray  # likewise; NaN where the image does not count for the score
    hints: list[np.ndarray]  # for the faces, and for the blends
    rows: np.ndarray
    pool: Pool
    batch: int
    pool_share: float
    damage: float  # fraction of the fresh images that are degraded
    steps: int
    seed: int

    def __len__(self):
        return self.steps

    def fresh(self, random):
        """A new image, its row in the targets, its quality, its hint and its transform."""
        blends = 0 if self.blends is None else len(self.blends)
        pick = int(random.integers(len(self.rows) + blends))
        if pick < len(self.rows):
            row = int(self.rows[pick])
            image, hint = self.faces[row], self.hints[0][row]
        else:
            blend = pick - len(self.rows)
            row = len(self.faces) + blend
            image, hint = self.blends[blend], self.hints[1][blend]
        # The teacher's embedding hardly changes under mirroring, so the target is kept.
        way = degrade.jitter_matrix(random)
        image = degrade.relit(degrade.moved(np.asarray(image), way, random), random)
        damaged = random.random() < self.damage
        if damaged:
            image, _ = degrade.random_degradation(image, random.beta(1.2, 2), random)
        return image, row, self.quality[row] if not damaged else np.nan, hint, way

    def judged(self, pick, random):
        """An image of the pool and its mask, shifted too little to change its utility."""
        way = degrade.jitter_matrix(random, 0.4)
        mask = degrade.moved(np.repeat(np.repeat(self.pool.masks[pick], CELL, 0), CELL, 1), way)
        return degrade.moved(np.asarray(self.pool.images[pick]), way, random), mask[::CELL, ::CELL]

    def __getitem__(self, step):
        random = np.random.default_rng([self.seed, 4, step])
        from_pool = int(round(self.batch * self.pool_share))
        images, rows, quality, hints, ways = map(
            list, zip(*(self.fresh(random) for _ in range(self.batch - from_pool)))
        )
        picks = random.integers(len(self.pool.face), size=from_pool)
        shown, masks = zip(*(self.judged(pick, random) for pick in picks))
        rows.extend(self.pool.face[picks])
        return {
            # u8 `[B, 112, 112, 3]`
            "images": torch.from_numpy(np.stack(images + list(shown))),
            "targets": torch.from_numpy(self.targets[rows]),
            "strangers": torch.from_numpy(
                self.targets[random.integers(len(self.targets), size=NUM_NEGATIVES)]
            ),
            # Target of the score; NaN where the image does not count for it.
            "quality": torch.tensor([*quality, *self.pool.quality[picks]], dtype=torch.float32),
            # For the fresh images.
            "hints": torch.from_numpy(np.stack(hints)),
            "ways": torch.from_numpy(np.stack(ways)),
            # For the images of the pool.
            "utility": torch.from_numpy(self.pool.utility[picks]),
            "masks": torch.from_numpy(np.stack(masks).astype(np.float32)),
        }
