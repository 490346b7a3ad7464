"""The change of pAUC-EDC on LFW under random noise: the resolution of protocol `crfiqa`.

The folder contains `f32.csv` and `names.txt`, as written by `run`. Independent normal noise,
in standard deviations of the scores, is added to the scores 40 times (seed 0). Prints the
95th percentile of the change of pAUC, in per cent, for each recogniser and FMR. Needs NumPy.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "training/recogniser"))
from edc import pauc

DRAWS = 40
FMRS = (1e-2, 1e-3)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("work", type=Path, help="the folder WORK of `run`")
parser.add_argument("--data", type=Path, default=Path("../shared/data"))
arguments = parser.parse_args()
work, data = arguments.work, arguments.data

names = [Path(name).stem for name in (work / "names.txt").read_text().split()]
row_of = {name: row for row, name in enumerate(names)}
pairs = [line.split() for line in (data / "lfw-pair_list.txt").read_text().splitlines()]
first, second = (np.array([row_of[Path(pair[side]).stem] for pair in pairs]) for side in (0, 1))
mated = np.array([pair[2] == "1" for pair in pairs])


def distances(recogniser):
    embeddings = np.load(data / f"embeddings/{recogniser}-lfw.npy")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.arccos(np.clip((unit[first] * unit[second]).sum(1), -1, 1))


with open(work / "f32.csv") as file:
    scored = {Path(row["path"]).stem: row for row in csv.DictReader(file)}
cases = [(name, fmr, distances(name)) for name in ("sface", "mobilefacenet") for fmr in FMRS]
print("method,noise," + ",".join(f"{name} {fmr:g}" for name, fmr, _ in cases))
for method in [column for column in ("score", "attn") if column in scored[names[0]]]:
    scores = np.array([float(scored[name][method]) for name in names])
    rng = np.random.default_rng(0)
    for share in (0.002, 0.005, 0.01, 0.02, 0.05):
        noisy = [scores + rng.normal(size=len(scores)) * share * scores.std() for _ in range(DRAWS)]
        found = []
        for _, fmr, distance in cases:
            exact, *moved = (
                pauc(distance, mated, np.minimum(x[first], x[second]), fmr) for x in [scores, *noisy]
            )
            found.append(np.quantile(np.abs(np.array(moved) / exact - 1), 0.95) * 100)
        print(f"{method},{share}," + ",".join(f"{value:.2f}" for value in found))
