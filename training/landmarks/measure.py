"""Evaluates the landmark network after a detector, on LFW and on held-out faces.

On LFW the reference is YuNet: a single output, its median over eight views (as in `multi_view.py`)
and its mean over 24 upright ones (as in `labels.py`).
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "training/detector"))

import labels  # noqa: E402
from decode import Detector, iou  # noqa: E402
from geometry import EYES, TEMPLATE, apply, fit, inverse, mirror, warp  # noqa: E402
from multi_view import averaged, central, lfw, refine  # noqa: E402
from views import Faces, sample  # noqa: E402

PASSES = 3
# As in the program: minimum and maximum number of passes; they stop when the points move by less
# than this fraction of the inter-eye distance.
STEPS, CONVERGED = (2, 4), 0.05


class Points:
    """The ONNX network on one thread."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def of(self, views):
        x = np.stack(views).transpose(0, 3, 1, 2).astype(np.float32)
        return self.session.run(None, {"input": x})[0].astype(np.float64)

    def locate(self, image, rough, with_mirror=True):
        """Points `[5, 2]` in the image from rough ones."""
        matrix = fit(rough)
        view = warp(image, matrix)
        found = self.of([view, view[:, ::-1]] if with_mirror else [view])
        if with_mirror:
            found[1] = mirror(found[1])
        return apply(inverse(matrix), found.mean(0))


def converged(network, image, rough):
    """The points after the program's refinement."""
    points = rough
    for number in range(1, STEPS[1] + 1):
        before, points = points, network.locate(image, points)
        eyes = EYES / np.sqrt(np.linalg.det(fit(before)[:, :2]))
        if number >= STEPS[0] and np.linalg.norm(points - before, axis=1).mean() < CONVERGED * eyes:
            break
    return points


def error(found, reference):
    eyes = max(np.linalg.norm(reference[1] - reference[0]), 1e-6)
    return np.linalg.norm(found - reference, axis=1).mean() / eyes


def by_procedure(network, image, rough):
    """The points found by each procedure, by name."""
    found = {"the detector alone": rough}
    for with_mirror in (False, True):
        points = rough
        for number in range(PASSES):
            points = network.locate(image, points, with_mirror)
            found[f"{number + 1} x {'plain and mirrored' if with_mirror else 'plain'}"] = points
    found["until converged"] = converged(network, image, rough)
    return found


def show(title, errors):
    print(title)
    for (way, reference), values in errors.items():
        values = np.array(values)
        p50, p90, p95 = 100 * np.percentile(values, [50, 90, 95])
        fraction = 100 * (values <= 0.04).mean()
        print(
            f"  {way}, against {reference}: median {p50:.2f}%, 90th {p90:.2f}%, 95th percentile {p95:.2f}%, "
            f"within 4%: {fraction:.1f}% ({len(values)} faces)",
            flush=True,
        )


def references(yunet, image, number):
    """YuNet's central face `[15]` and its points by name, relative to pixel centres, or None."""
    single = central(yunet.detect(image, 0.6), image)
    if single is None:
        return None
    points = {"one output of YuNet": single[5:].reshape(5, 2)}
    mean = averaged(yunet, image)
    if mean is not None and iou(mean[1:5], single[None, 1:5])[0] > 0.3:
        points["YuNet over eight views"] = mean[5:].reshape(5, 2)
    upright = refine(yunet, image, single)[5:].reshape(5, 2)
    many = labels.average(yunet, image, upright, single[1:5], np.random.default_rng(number))
    if many is not None:
        points["YuNet over 24 upright views"] = many[0]
    return single, {name: value - 0.5 for name, value in points.items()}


def on_lfw(network, detector, yunet, archive, every):
    errors = {}
    for number, (_, image) in enumerate(lfw(archive)):
        if number % every:
            continue
        known = references(yunet, image, number)
        faces = detector.detect(image, 0.6)
        if known is None or len(faces) == 0:
            continue
        single, points = known
        overlaps = iou(single[1:5], faces[:, 1:5])
        if overlaps.max() < 0.5:
            continue
        rough = faces[np.argmax(overlaps), 5:].reshape(5, 2).astype(np.float64) - 0.5
        found = by_procedure(network, image, rough)
        found["one output of YuNet"] = single[5:].reshape(5, 2) - 0.5
        for way, place in found.items():
            for name, reference in points.items():
                if way != name:
                    errors.setdefault((way, name), []).append(error(place, reference))
    show(f"LFW, one image in {every}, central face", errors)


def on_held_out(network, archive, made):
    faces, rng, errors = Faces(archive, made), np.random.default_rng(5), {}
    for index in range(len(faces)):
        image, points = faces.at(index)
        _, there = sample(rng, image, points)
        # Landmarks with the errors of a detector, drawn as an exact similarity transform of the view.
        rough = apply(inverse(fit(points, there)), TEMPLATE)
        for way, place in by_procedure(network, image, rough).items():
            errors.setdefault((way, "the labels"), []).append(error(place, points))
    show("Held-out FairFace", errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--model", default=ROOT / "models/landmarks.onnx")
    parser.add_argument("--detector", default=ROOT / "models/detector.onnx")
    parser.add_argument("--teacher", default=shared / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--lfw", default=shared / "lfw-original-250.tar")
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--archive", default=shared / "fairface-original-224.tar")
    parser.add_argument(
        "--labels", type=Path, default=ROOT / "target/landmarks/landmarks.npz", help="from train.py"
    )
    options = parser.parse_args()

    cv2.setNumThreads(1)
    network = Points(options.model)
    if options.labels.exists():
        on_held_out(network, options.archive, options.labels)
    detector, yunet = Detector(options.detector), Detector(options.teacher, bgr=True)
    on_lfw(network, detector, yunet, options.lfw, options.every)


if __name__ == "__main__":
    main()
