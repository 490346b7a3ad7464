"""Aligned faces: decoded once from a tar into a memory-mapped array."""

import tarfile
from pathlib import Path

import cv2
import numpy as np

SIZE = 112


def decoded(tar: Path, work: Path) -> tuple[np.ndarray, list[str]]:
    """Images `[F, 112, 112, 3]` u8 RGB in the order of the tar, and their names."""
    pixels, names = work / f"{tar.stem}.npy", work / f"{tar.stem}.names"
    if not names.exists():
        with tarfile.open(tar) as archive:
            listed = [member.name for member in archive if member.isfile()]
            out = np.lib.format.open_memmap(pixels, "w+", np.uint8, (len(listed), SIZE, SIZE, 3))
            for row, name in enumerate(listed):
                data = np.frombuffer(archive.extractfile(name).read(), np.uint8)
                bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
                if bgr is None or bgr.shape != (SIZE, SIZE, 3):
                    raise SystemExit(f"{tar}: {name}: expected an image of {SIZE}x{SIZE} pixels")
                out[row] = bgr[:, :, ::-1]
            out.flush()
        # Written last, so its presence means that the array is complete.
        names.write_text("\n".join(listed))
    return np.load(pixels, mmap_mode="r"), names.read_text().split("\n")


def blended(faces: np.ndarray, count: int, work: Path, seed: int) -> np.ndarray:
    """`count` new faces, each a weighted mean of two: identities that only a teacher can label."""
    path = work / f"blends-{count}-{seed}.npy"
    if not path.exists():
        random = np.random.default_rng(seed)
        part = path.with_suffix(".part")
        out = np.lib.format.open_memmap(part, "w+", np.uint8, (count, SIZE, SIZE, 3))
        for row in range(count):
            one, other = random.choice(len(faces), 2, replace=False)
            fraction = random.uniform(0.35, 0.65)
            mixed = fraction * faces[one] + (1 - fraction) * faces[other][:, :: random.choice([1, -1])]
            out[row] = np.round(mixed).astype(np.uint8)
        out.flush()
        part.rename(path)
    return np.load(path, mmap_mode="r")
