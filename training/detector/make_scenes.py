"""Writes held-out scenes and their truth for `attn-fiqa detect --evaluate FOLDER`.

`faces.csv` lies beside the pictures: `path,x,y,width,height,lx1,ly1,...,lx5,ly5`,
one row a face; a picture without faces has one row with only the path. Scenes with
a face that nobody is certain of are left out.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from scenes import Source, compose

ROOT = Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--work", type=Path, default=ROOT / "target/detector", help="cache of train.py")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--seed", type=int, default=501)
    options = parser.parse_args()

    source = Source(options.work, "held-out")
    options.output.mkdir(parents=True, exist_ok=True)
    names = ["path", "x", "y", "width", "height"] + [f"l{a}{n}" for n in range(1, 6) for a in "xy"]
    written = number = 0
    with open(options.output / "faces.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(names)
        while written < options.count:
            rng = np.random.default_rng([options.seed, number])
            picture, faces, unknown = compose(rng, options.height, options.width, source)
            number += 1
            if len(unknown):
                continue
            name = f"scene-{written:04}.png"
            Image.fromarray(picture).save(options.output / name)
            for face in faces:
                rows.writerow([name, *(f"{v:.2f}" for v in face)])
            if len(faces) == 0:
                rows.writerow([name] + [""] * 14)
            written += 1
    print(f"{written} scenes in {options.output}")


if __name__ == "__main__":
    main()
