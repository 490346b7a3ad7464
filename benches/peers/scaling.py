"""Ours on one and on two threads, in alternating rounds: the gain from a second core.

`run scaling --models MODELS` passes the program and uses the ViT-S and the crops written to MODELS by
`run --models MODELS`.
"""

import argparse
import pathlib
import statistics

from run import Runner

PRECISIONS = ("f32", "bf16", "int8")
IMAGES = 16

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--binary", required=True, help="the built example `throughput`")
parser.add_argument("--models", type=pathlib.Path, required=True)
parser.add_argument("--rounds", type=int, default=5)
options = parser.parse_args()
for file in ("vit-s.safetensors", "crops.rgb"):
    if not (options.models / file).exists():
        parser.error(
            f"{options.models / file} does not exist: `benches/peers/run --models {options.models}` writes it"
        )

runners = {
    (precision, threads): Runner(
        [
            options.binary,
            options.models / "vit-s.safetensors",
            8,
            options.models / "crops.rgb",
            threads,
            precision,
        ]
    )
    for precision in PRECISIONS
    for threads in (1, 2)
}
print("batch  precision  1 thread  2 threads, images/s  scaling")
for batch in (1, 8):
    for runner in runners.values():
        runner.round(batch)
    rounds = [{key: runner.round(batch)[0] for key, runner in runners.items()} for _ in range(options.rounds)]
    for precision in PRECISIONS:
        one, two = (statistics.median(IMAGES / r[precision, n] for r in rounds) for n in (1, 2))
        gain = statistics.median(r[precision, 1] / r[precision, 2] for r in rounds)
        print(f"{batch:5}  {precision:9}  {one:8.1f}  {two:19.1f}  {gain:7.2f}")
for runner in runners.values():
    runner.close()
