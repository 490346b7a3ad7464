"""Evaluates a detector on real photographs against YuNet, by face width.

The reference is YuNet at a score of 0.8; boxes that match nothing it finds at 0.3 are
extra. Images are searched at their original size.
"""

import argparse
from pathlib import Path

import numpy as np
from decode import Detector, iou
from images import SHARED, scenes, without_faces

EDGES = [12, 16, 24, 40, 64, 100, 200, 10000]
OVERLAP, SURE, DOUBTFUL = 0.5, 0.8, 0.3


def references(classes, held_out, cache=None):
    """`[(name, image, YuNet's faces)]`; the faces are stored in `cache`."""
    teacher = Detector(SHARED / "models/yunet_n_dynamic.onnx", bgr=True)
    kept = dict(np.load(cache)) if cache and cache.exists() else {}
    found = []
    for name, image in scenes(classes, held_out):
        if name not in kept:
            kept[name] = teacher.detect(image, DOUBTFUL)
        found.append((name, image, kept[name]))
    if cache:
        np.savez(cache, **kept)
    return found


def count(detector, images, threshold):
    """Found and total reference faces by width, extra boxes, and false faces per image without a face."""
    hits, total, extra, empty = np.zeros(len(EDGES) - 1, int), np.zeros(len(EDGES) - 1, int), 0, []
    no_face = without_faces()
    for name, image, reference in images:
        found = detector.detect(image, threshold)
        if name in no_face:
            empty.append(len(found))
            continue
        sure = reference[reference[:, 0] >= SURE]
        for face in sure:
            place = np.searchsorted(EDGES, face[3], side="right") - 1
            if 0 <= place < len(total):
                total[place] += 1
                hits[place] += len(found) > 0 and iou(face[1:5], found[:, 1:5]).max() >= OVERLAP
        for face in found:
            extra += len(reference) == 0 or iou(face[1:5], reference[:, 1:5]).max() < OVERLAP
    return hits, total, extra, np.array(empty, int)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--classes", default="BC")
    parser.add_argument("--held-out", action="store_true", help="only the held-out images of class A")
    parser.add_argument("--every", type=int, default=1, help="only every Nth image")
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.5, 0.6, 0.7])
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()

    images = references(options.classes, True if options.held_out else None, options.cache)[:: options.every]
    for path in options.models:
        yunet = "yunet" in path.name
        detector = Detector(path, bgr=yunet, by_size=not yunet)
        for threshold in options.thresholds:
            hits, total, extra, empty = count(detector, images, threshold)
            bins = zip(EDGES[:-1], EDGES[1:], hits, total)
            table = "; ".join(f"{a}-{b}: {h}/{t} {100 * h / max(t, 1):.1f}%" for a, b, h, t in bins)
            people = len(images) - len(empty)
            print(
                f"{path.name} at {threshold}: {table}; extra {extra} in {people} images "
                f"({100 * extra / max(people, 1):.1f} per 100); images without a face {len(empty)}, with a false "
                f"face {(empty > 0).sum()}, with more than one {(empty > 1).sum()}",
                flush=True,
            )


if __name__ == "__main__":
    main()
