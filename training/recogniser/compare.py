"""Compares models by recognition errors on the held-out faces, with new degradations.

Each of the 2,000 faces is compared with its degraded images, and these with each other; there are
twice as many comparisons of different faces. The quality of a comparison is the lower of its two
scores. Prints the pAUC-EDC x1000 (protocol `crfiqa`, FMR 1e-3) for embeddings of SFace and of
MobileFaceNet, and the difference from the first model with a 95 % bootstrap interval over faces. The
pAUC is larger than for ordinary faces, since most images are degraded.
"""

import argparse
import csv
import io
import subprocess
import tarfile
from itertools import combinations
from pathlib import Path

import numpy as np
from batches import pool, split
from edc import pauc
from embedded import cached
from faces import decoded
from PIL import Image
from space import unit
from teacher import Onnx

# Different from the seeds of the training pools.
SEED = 7


def tar_of(path, named):
    """Writes images to a tar of PPM files."""
    with tarfile.open(path, "w") as tar:
        for name, image in named:
            data = io.BytesIO()
            Image.fromarray(np.asarray(image)).save(data, "ppm")
            info = tarfile.TarInfo(name)
            info.size = data.tell()
            data.seek(0)
            tar.addfile(info, data)


def scores(program, model, images, names, output):
    command = [program, "score", images, "--aligned", "--quiet", "--output", output]
    subprocess.run(command + ([] if model == "built-in" else ["--model", model]), check=True)
    with output.open() as stream:
        by_name = {Path(row["path"]).name: float(row["score"]) for row in csv.DictReader(stream)}
    return np.array([by_name[name] for name in names])


def comparisons(person, random):
    """Mated and non-mated pairs of rows `[pair, 2]`."""
    rows = {}
    for row, who in enumerate(person):
        rows.setdefault(who, []).append(row)
    mated = np.array([pair for own in rows.values() for pair in combinations(own, 2)])
    other = random.integers(len(person), size=(2 * len(mated), 2))
    return mated, other[person[other[:, 0]] != person[other[:, 1]]]


def paucs(embeddings, score, mated, other):
    first, second = np.concatenate([mated, other]).T
    same = np.arange(len(first)) < len(mated)
    quality = np.minimum(score[first], score[second])
    cosines = [(e[first] * e[second]).sum(1) for e in embeddings]
    return np.array([pauc(np.arccos(c.clip(-1, 1)) / np.pi, same, quality) for c in cosines])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "models", nargs="+", help="calibrated safetensors, or built-in; the first is the reference"
    )
    p.add_argument("--program", type=Path, default=Path("target/release/attn-fiqa"))
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--images", type=int, default=8000, help="degraded images")
    p.add_argument("--replicates", type=int, default=40, help="of the bootstrap")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    sface = Onnx(args.data / "models/sface-2021dec.onnx", args.threads)
    mobile = Onnx(args.data / "models/mobilefacenet.onnx", args.threads, imagenet=True)

    faces, _ = decoded(args.data / "fairface-aligned-112.tar", args.work)
    clean = cached(args.work / "teacher-all.npy", sface, faces)
    rows, held = split(len(faces), 0)
    made = pool(faces, held, clean, clean[rows].mean(0), args.images, SEED, "compare", sface, args.work)
    names = [f"{row}.ppm" for row in held] + [f"degraded-{index}.ppm" for index in range(args.images)]
    images = args.work / f"compare-{args.images}.tar"
    if not images.exists():
        tar_of(images, zip(names, [*faces[held], *made.images]))
    others = [
        cached(args.work / f"mobilefacenet-{part}.npy", mobile, pixels)
        for part, pixels in ((f"held-{len(held)}", faces[held]), (f"compare-{args.images}", made.images))
    ]
    embeddings = [unit(np.concatenate(parts)) for parts in ((clean[held], made.embeddings), others)]

    random = np.random.default_rng(SEED)
    person = np.concatenate([held, made.face])
    mated, other = comparisons(person, random)
    owner = np.searchsorted(held, person[mated[:, 0]])
    output = args.work / "compare.csv"
    found = [scores(args.program, model, images, names, output) for model in args.models]
    whole = [paucs(embeddings, score, mated, other) for score in found]
    differences = []
    for _ in range(args.replicates):
        times = np.bincount(random.integers(len(held), size=len(held)), minlength=len(held))
        drawn = np.repeat(mated, times[owner], 0), other[random.integers(len(other), size=len(other))]
        each = np.array([paucs(embeddings, score, *drawn) for score in found])
        differences.append(each - each[0])
    differences = np.array(differences)
    middle, spread = differences.mean(0), 1.96 * differences.std(0)
    print(f"{len(mated)} mated and {len(other)} non-mated comparisons of {len(person)} images\n")
    print("| model | SFace | MobileFaceNet | difference, SFace | MobileFaceNet |\n|---|---|---|---|---|")
    for model, area, d, s in zip(args.models, whole, middle, spread):
        away = [f"{d[which]:+.1f} ± {s[which]:.1f}" for which in (0, 1)]
        print(f"| {model} | {area[0]:.1f} | {area[1]:.1f} | {away[0]} | {away[1]} |")


if __name__ == "__main__":
    main()
