"""The Python package against the command line and PyTorch, interleaved in one run.

`speed.py [--threads N] [--crops N] [--rounds N]`, in an environment with the release wheel, torch,
safetensors and pillow. All runners compute the published score of the same crops with the built-in
model: ours from one array, PyTorch from the same array with `benches/peers/vit.py`, the command
line from the same pixels as PPM files. Prints medians over rounds and ratios within rounds.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import timeit

import attn_fiqa
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The built-in model as one file, written by `main`.
MODEL = pathlib.Path(tempfile.gettempdir()) / "attn-fiqa-t-whole.safetensors"
sys.path.insert(0, str(ROOT / "benches/peers"))

FIRST_OURS = """
import attn_fiqa, numpy
crops = numpy.full((1, 112, 112, 3), 128, numpy.uint8)
attn_fiqa.Scorer().score_aligned(crops, color="rgb")
"""
FIRST_TORCH = f"""
import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
import numpy, speed
crops = numpy.full((1, 112, 112, 3), 128, numpy.uint8)
speed.torch_scorer(None)(crops)
"""


def torch_scorer(threads):
    import torch
    from safetensors.torch import load_file
    from vit import QualityVit

    if threads:
        torch.set_num_threads(threads)
    model = QualityVit(patch=8, dim=192, depth=8, heads=6, mlp_ratio=3).eval()
    state = {name: tensor.float() for name, tensor in load_file(MODEL).items()}
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert not missing, missing

    def score(crops):
        with torch.inference_mode():
            batches = torch.from_numpy(crops).split(32)
            return torch.cat([model(batch) for batch in batches]).numpy()

    return score


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--crops", type=int, default=1024)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()

    from PIL import Image

    convert = [sys.executable, "-m", "attn_fiqa", "model", "convert", "built-in", str(MODEL)]
    subprocess.run([*convert, "--dtype", "f16"], check=True)
    faces = sorted((ROOT / "examples/faces").glob("*.png"))
    faces = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in faces])
    crops = np.resize(faces, (options.crops, 112, 112, 3))
    scorer = attn_fiqa.Scorer(threads=options.threads, methods=["attn"])
    peer = torch_scorer(options.threads)
    ours, theirs = scorer.score_aligned(crops[:30], color="rgb").score, peer(crops[:30])
    difference = float(np.abs(ours - theirs).max())
    print(f"largest difference of a score from PyTorch's: {difference:.1e}", file=sys.stderr)
    assert difference < 1e-3

    with tempfile.TemporaryDirectory() as folder:
        for index, crop in enumerate(crops):
            Image.fromarray(crop).save(f"{folder}/{index:05}.ppm")
        command = [
            sys.executable, "-m", "attn_fiqa", "score", folder, "--aligned", "--method", "attn",
            "--jobs", str(options.threads), "--precision", "f32", "--quiet", "--output", "/dev/null", "--format", "csv",
        ]  # fmt: skip
        work = {
            "score_aligned": lambda: scorer.score_aligned(crops, color="rgb"),
            "command line": lambda: subprocess.run(command, check=True),
            "PyTorch": lambda: peer(crops),
        }
        for call in work.values():
            call()
        times = {name: [] for name in work}
        for _ in range(options.rounds):
            for name, call in work.items():
                times[name].append(seconds(call))
    own = times["score_aligned"]
    for name, taken in times.items():
        rate = options.crops / statistics.median(taken)
        ratio = statistics.median(other / mine for other, mine in zip(taken, own))
        print(f"{name:14} {rate:8.1f} crops/s   ours is {ratio:.2f} times as fast")

    one, none = crops[:1], crops[:0]
    for name, call in {
        "score_aligned of no crop": lambda: scorer.score_aligned(none, color="rgb"),
        "score_aligned of one crop": lambda: scorer.score_aligned(one, color="rgb"),
        "score of one crop": lambda: scorer.score(one[0], color="rgb"),
    }.items():
        repeats = 2000 if "no crop" in name else 100
        taken = min(timeit.repeat(call, number=repeats, repeat=5)) / repeats
        print(f"{name:26} {taken * 1e6:8.1f} µs")

    first = {"ours": [], "PyTorch": [], "NumPy alone": []}
    programs = {"ours": FIRST_OURS, "PyTorch": FIRST_TORCH, "NumPy alone": "import numpy"}
    for _ in range(options.rounds):
        for name, program in programs.items():
            call = [sys.executable, "-c", program]
            first[name].append(seconds(lambda: subprocess.run(call, check=True)))
    for name, taken in first.items():
        print(f"process with import and first score, {name:12} {statistics.median(taken):.3f} s")


if __name__ == "__main__":
    main()
