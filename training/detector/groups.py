"""Recall by the race, age and gender groups of FairFace, on faces that were not used in training.

Aligned faces from images that `train.py` does not use are placed on grey at three sizes.
The reference is YuNet at a high score, as in `measure.py`; the recall of a group is the
fraction of reference faces that are found.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from decode import Detector, iou
from images import SHARED, tar_images
from measure import OVERLAP, SURE
from views import scaled

CANVAS = 160
# Sides of the shown crop, in pixels; the face is about 0.7 times as wide.
SIDES = (112, 56, 36)


def shown(image, side):
    canvas = np.full((CANVAS, CANVAS, 3), 128, np.uint8)
    start = (CANVAS - side) // 2
    canvas[start : start + side, start : start + side] = scaled(image, side / image.shape[0])
    return canvas


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threshold", type=float, default=0.6)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()

    ours = Detector(options.model, by_size=True)
    teacher = Detector(SHARED / "models/yunet_n_dynamic.onnx", bgr=True)
    trained = {Path(name).stem for name, _ in tar_images(SHARED / "fairface-original-224.tar")}
    with open(SHARED / "fairface-labels.csv", newline="") as file:
        labels = {Path(next(iter(row.values()))).stem: row for row in csv.DictReader(file)}
    counts = {}
    images = (
        p
        for p in tar_images(SHARED / "fairface-aligned-112.tar")
        if Path(p[0]).stem.split("_")[0] not in trained
    )
    for number, (name, image) in enumerate(images):
        row = labels.get(Path(name).stem)
        if number % options.every or row is None:
            continue
        for side in SIDES:
            view = shown(image, side)
            sure = teacher.detect(view, SURE)
            found = ours.detect(view, options.threshold)
            for face in sure[:1]:
                hit = len(found) > 0 and iou(face[1:5], found[:, 1:5]).max() >= OVERLAP
                for group in ("race", "age", "gender"):
                    entry = counts.setdefault((group, row[group]), [0, 0])
                    entry[0] += hit
                    entry[1] += 1
    for (group, value), (hit, total) in sorted(counts.items()):
        print(f"{group} | {value} | {100 * hit / total:.2f} % | {hit} of {total}")


if __name__ == "__main__":
    main()
