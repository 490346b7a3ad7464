#!/usr/bin/env python3
"""Averages the weights of a trained file and of one fine-tuned from it.

    training/recogniser/average.py FIRST [PART] --with TUNED [PART] --fraction 0.3 --output AVERAGE

The mean of a network's weights and those of its fine-tuned version often performs better than either
(Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). `--fraction` is the weight of
TUNED. Calibration data is skipped, so the output has to be calibrated (`finish`).
"""

import argparse
from pathlib import Path

import export
import torch
from safetensors import safe_open
from safetensors.torch import save_file

BATCH_NORM_EPS = 1e-5


def weights(paths):
    """The weights of a file, or of its two parts, in f32. Batch norms become a gain and an offset,
    since the stored statistics of the two networks are from different images."""
    tensors, _ = export.load(*paths)
    for layer in [name.removesuffix(".running_var") for name in tensors if name.endswith(".running_var")]:
        mean, var = tensors[f"{layer}.running_mean"], tensors[f"{layer}.running_var"]
        gain = tensors[f"{layer}.weight"] / (var + BATCH_NORM_EPS).sqrt()
        tensors[f"{layer}.bias"] = tensors[f"{layer}.bias"] - mean * gain
        tensors[f"{layer}.weight"] = gain
        tensors[f"{layer}.running_mean"] = torch.zeros_like(mean)
        tensors[f"{layer}.running_var"] = torch.full_like(var, 1 - BATCH_NORM_EPS)
    return tensors


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("first", type=Path, nargs="+", help="a canonical file or its two parts")
    p.add_argument("--with", dest="tuned", type=Path, nargs="+", required=True, metavar="TUNED")
    p.add_argument("--fraction", type=float, required=True, help="share of TUNED, 0 to 1")
    p.add_argument("--output", type=Path, required=True)
    args = p.parse_args()
    first, tuned = weights(args.first), weights(args.tuned)
    shapes = lambda tensors: {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if unlike := {name for name, _ in shapes(first).items() ^ shapes(tuned).items()}:
        raise SystemExit(f"the files are not of one network: {', '.join(sorted(unlike))}")
    with safe_open(args.tuned[0], "pt") as file:
        metadata = {name: value for name, value in file.metadata().items() if "calibration" not in name}
    metadata["attn_fiqa.content"] = "full"
    part = args.fraction
    mean = {name: (1 - part) * first[name] + part * tuned[name] for name in first}
    save_file({name: tensor.contiguous() for name, tensor in mean.items()}, args.output, metadata)


if __name__ == "__main__":
    main()
