"""The rank correlation of scores in int8 and bf16 with ONNX Runtime's f32.

`agreement.py MODELS CROPS [CALIBRATION]`: MODELS is the folder of `run.py --models` (created if it
does not exist), CROPS is raw RGB `[image, 112, 112, 3]`, and CALIBRATION is the same for OpenVINO's
ranges (default: the first 16 of CROPS). Prints Spearman's rank correlation and the largest
change in standard deviations. Ours: `attn-fiqa score --aligned --heads 8 --method attn
--precision P --model MODELS/vit-s.safetensors`.
"""

import pathlib
import sys

import numpy as np
import peer

import models

BATCH = 8


def pixels(path):
    return np.fromfile(path, np.uint8).reshape(-1, peer.SIDE, peer.SIDE, 3)


def ranks(values):
    return np.argsort(np.argsort(values)).astype(float)


def main():
    folder, crops = pathlib.Path(sys.argv[1]), pixels(sys.argv[2])
    crops = crops[: len(crops) // BATCH * BATCH]
    paths = models.write(folder, "vit-s", crops[:16], int8=True)
    calibrated = folder / "vit-s-agreement.xml"
    models.openvino_int8(
        paths["openvino-f32"], pixels(sys.argv[3]) if len(sys.argv) > 3 else crops[:16], calibrated
    )
    paths["openvino-int8"] = calibrated

    def scores(name):
        score = peer.RUNNERS[name](str(paths[name]), 1)
        batches = range(0, len(crops), BATCH)
        return np.concatenate([score(crops[first : first + BATCH]).ravel() for first in batches])

    exact = scores("onnxruntime-f32")
    for name in ("onnxruntime-int8", "openvino-bf16", "openvino-int8"):
        found = scores(name)
        rho = np.corrcoef(ranks(exact), ranks(found))[0, 1]
        print(f"{name:16}  {rho:.5f}  {np.abs(found - exact).max() / exact.std():.3f}", flush=True)


if __name__ == "__main__":
    main()
