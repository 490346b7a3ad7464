"""Writes the weights of an exported detector under the names of `network.py`.

The ONNX file is for other programs; this one, with the same weights, is embedded in
the program. Batch norms and the input scale factor are already folded in, so every
`conv_norm` is one weight and one bias.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
# The order in which `export.py` writes the convolutions. The last one of a head is split into
# three nodes there, one per output.
SEPARABLE = ("depthwise", "pointwise")
BLOCKS = {"stage4": 2, "stage8": 4, "stage16": 4, "stage32": 3}
LEVELS = 3
HEAD_PARTS = 3


def names():
    yield "stem"
    for stage, blocks in BLOCKS.items():
        for block in range(blocks):
            yield from (f"{stage}.{block}.{part}" for part in SEPARABLE)
    yield from (f"lateral.{index}" for index in range(LEVELS))
    for index in range(LEVELS):
        yield from (f"heads.{index}.mix.{part}" for part in SEPARABLE)
        yield from [f"heads.{index}.out"] * HEAD_PARTS


def tensors(path):
    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    parts = {}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for name, node in zip(names(), convolutions, strict=True):
        for kind, value in zip(("weight", "bias"), node.input[1:], strict=True):
            parts.setdefault(f"{name}.{kind}", []).append(values[value])
    return {name: np.ascontiguousarray(np.concatenate(part)) for name, part in parts.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, default=ROOT / "models/detector.onnx")
    parser.add_argument("--output", type=Path, default=ROOT / "models/detector.safetensors")
    options = parser.parse_args()
    found = tensors(options.input)
    save_file(found, options.output, {"format": "pt", "network": "attn-fiqa-face"})
    shapes = {name: list(value.shape) for name, value in found.items()}
    print(json.dumps(shapes), sum(value.size for value in found.values()))


if __name__ == "__main__":
    main()
