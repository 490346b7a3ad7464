"""Exports the averaged weights of a checkpoint with their scores moved to a common scale.

A constant is added to the score's logit so that a score of 0.6, the default
threshold of `attn-fiqa detect`, is the one that gives the wanted precision on new
scenes made of the training pictures.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch

from decode import Detector
from evaluate import composed_scenes, ignored, match
from export import export
from network import Network
from scenes import Source

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_THRESHOLD = 0.6
PRECISION = 0.98


def logit(p):
    return float(np.log(p / (1 - p)))


def operating_point(detector, scenes, precision=PRECISION):
    """The lowest score from which on the faces found have this precision, and their recall."""
    scores, right, total = [], [], 0
    for picture, faces, unknown in scenes:
        found = detector.detect(picture, 0.2)
        matched = {f for f, _ in match(found, faces)}
        total += len(faces)
        for index, face in enumerate(found):
            if index in matched or not ignored(face, unknown):
                scores.append(face[0])
                right.append(index in matched)
    order = np.argsort(-np.array(scores))
    scores, right = np.array(scores)[order], np.array(right)[order]
    share = np.cumsum(right) / np.arange(1, len(right) + 1)
    last = np.flatnonzero(share >= precision).max()
    return float(scores[last]), right[: last + 1].sum() / total


def finish(checkpoint, cache, output):
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = Network()
    network.load_state_dict(state["average"])
    export(copy.deepcopy(network), output)
    scenes = composed_scenes(Source(cache, "train"), 400, 384, seed=33)
    point, recall = operating_point(Detector(output), scenes)
    shift = logit(DEFAULT_THRESHOLD) - logit(point)
    with torch.no_grad():
        for head in network.heads:
            head.out.bias[0] += shift
    export(network, output, f"attn-fiqa-face, {state['step']} steps, score logit moved by {shift:.3f}")
    print(f"score {point:.3f} has precision {PRECISION} and recall {recall:.3f}: moved to {DEFAULT_THRESHOLD}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "target/detector")
    parser.add_argument("--output", type=Path, default=ROOT / "models/detector.onnx")
    options = parser.parse_args()
    finish(options.work / "checkpoint.pt", options.work, options.output)


if __name__ == "__main__":
    main()
