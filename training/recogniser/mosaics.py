"""Packs aligned faces into a few large images, for transfer to a remote GPU.

A 105 MB tar of 45,000 small files becomes 49 MB of mosaics of 1,024 faces. The loss of image
quality does no harm, because the teacher embeds the decoded images.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from faces import SIZE, decoded
from PIL import Image

SIDE = 32
COUNT = "count.txt"


def packed(faces):
    """At most `SIDE` squared faces as one image, with black for missing ones."""
    whole = np.zeros((SIDE * SIDE, SIZE, SIZE, 3), np.uint8)
    whole[: len(faces)] = faces
    return whole.reshape(SIDE, SIDE, SIZE, SIZE, 3).transpose(0, 2, 1, 3, 4).reshape(SIDE * SIZE, -1, 3)


def unpacked(folder: Path):
    """The faces `[F, 112, 112, 3]` u8 RGB of a folder written by `main`."""
    mosaics = sorted(folder.glob("*.avif"))
    if not mosaics or not (folder / COUNT).exists():
        raise SystemExit(f"{folder}: expected mosaics (*.avif) and '{COUNT}'; run mosaics.py to make them")

    def cells(path):
        image = np.asarray(Image.open(path).convert("RGB"))
        cut = image.reshape(SIDE, SIZE, SIDE, SIZE, 3).transpose(0, 2, 1, 3, 4)
        return cut.reshape(-1, SIZE, SIZE, 3)

    with ThreadPoolExecutor() as threads:
        faces = np.concatenate(list(threads.map(cells, mosaics)))
    return faces[: int((folder / COUNT).read_text())]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("faces", type=Path, help="tar of aligned faces")
    p.add_argument("output", type=Path, help="folder for the mosaics")
    p.add_argument("--work", type=Path, required=True, help="folder for caches")
    p.add_argument("--quality", type=int, default=60, help="of AVIF, 0 to 100")
    args = p.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    faces, _ = decoded(args.faces, args.work)
    for number, start in enumerate(range(0, len(faces), SIDE * SIDE)):
        path = args.output / f"{number:03}.avif"
        Image.fromarray(packed(faces[start : start + SIDE * SIDE])).save(path, quality=args.quality, speed=6)
    (args.output / COUNT).write_text(f"{len(faces)}\n")


if __name__ == "__main__":
    main()
