"""Writes the held-out faces as a tar, for calibrating the model.

The split is the same as in `train.py` and `evaluate.py` for the same seed (`batches.split`).
"""

import argparse
import tarfile
from pathlib import Path

from batches import split


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("faces", type=Path, help="the tar used in training")
    p.add_argument("output", type=Path, help="the tar to write")
    p.add_argument("--seed", type=int, default=0, help="that of the training")
    args = p.parse_args()
    with tarfile.open(args.faces) as archive:
        members = [member for member in archive if member.isfile()]
        held = split(len(members), args.seed)[1]
        with tarfile.open(args.output, "w") as out:
            for row in held:
                out.addfile(members[row], archive.extractfile(members[row]))
    print(f"{len(held)} of {len(members)} faces in {args.output}")


if __name__ == "__main__":
    main()
