"""Prints the figures of the model card as Markdown.

LFW is used only here. Comparison scores are from single images, without mirror
images.
"""

import argparse
from pathlib import Path

import cv2
import degrade
import export
import numpy as np
import torch
from batches import split
from edc import fnmr_at, pauc, ten_fold_accuracy
from embedded import cached
from faces import decoded
from network import Recogniser, Shape
from safetensors import safe_open
from space import Space, unit
from teacher import Onnx
from validation import spearman, to_input

STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def load(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        hidden = file.get_slice("feature.0.weight").get_shape()[0]
    whole = lambda key: int(metadata[key])
    net = Recogniser(
        Shape(
            whole("patch_size"),
            whole("embed_dim"),
            whole("depth"),
            whole("num_heads"),
            whole("mlp_ratio"),
            whole("embedding_dim"),
            hidden,
        )
    )
    export.read(net, path)
    return net.eval()


@torch.no_grad()
def assess(net, images, device):
    """Embeddings, published scores and scores with the key bias."""
    parts = [[], [], []]
    for start in range(0, len(images), 64):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 64]))
        embedding, per_patch, added, _ = net(to_input(batch, device))
        published = per_patch.mean(1)
        for part, value in zip(parts, (embedding, published, published + added)):
            part.append(value.float().cpu().numpy())
    return [np.concatenate(part) for part in parts]


def sharpness(images):
    return np.array(
        [cv2.Laplacian(cv2.cvtColor(np.asarray(p), cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() for p in images]
    )


def half_degraded(images, seed):
    """A random half of the images degraded in one or two ways."""
    out = np.array(images)
    chosen = np.random.default_rng([seed, 5]).permutation(len(out))[: len(out) // 2]
    for row in chosen:
        random = np.random.default_rng([seed, 6, int(row)])
        out[row], _ = degrade.random_degradation(out[row], random.random(), random)
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("model", type=Path)
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--series", type=int, default=200, help="held-out faces in each degradation series")
    p.add_argument("--agreement", type=int, default=1000, help="held-out faces compared with the teacher")
    p.add_argument("--pairs", type=int, help="number of LFW comparisons, evenly spaced, for a quick check")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = load(args.model).to(device)
    sface = Onnx(args.data / "models/sface-2021dec.onnx", args.threads)
    mobile = Onnx(args.data / "models/mobilefacenet.onnx", args.threads, imagenet=True)

    faces, _ = decoded(args.data / "fairface-aligned-112.tar", args.work)
    rows, held = split(len(faces), args.seed)
    space = Space(cached(args.work / "teacher-all.npy", sface, faces)[rows])
    some = faces[held[: args.agreement]]
    teacher, student = sface.embed(some), assess(net, some, device)[0]
    print(
        f"Agreement with the teacher on {len(some)} held-out faces (mean cosine, in the space of the targets): "
        f"{(space(teacher) * unit(student)).sum(1).mean():.3f}\n"
    )

    print("| degradation | Spearman with strength, published | with key bias |\n|---|---|---|")
    series = faces[held[: args.series]]
    for kind, damage in (degrade.KINDS | degrade.MISALIGNMENTS | {"yaw": degrade.yaw}).items():
        rows = []
        for strength in STRENGTHS:
            made = np.stack(
                [
                    damage(np.asarray(face), strength, np.random.default_rng([args.seed, 7, i]))[0]
                    if strength
                    else face
                    for i, face in enumerate(series)
                ]
            )
            rows.append(assess(net, made, device)[1:])
        # One series per face, then the mean over faces.
        rows = np.array(rows)
        means = [
            np.mean([spearman(-np.array(STRENGTHS), rows[:, which, i]) for i in range(len(series))])
            for which in (0, 1)
        ]
        print(f"| {kind} | {means[0]:.2f} | {means[1]:.2f} |")

    images, names = decoded(args.data / "lfw-aligned-112.tar", args.work)
    row_of = {Path(name).stem: row for row, name in enumerate(names)}
    pairs = [line.split() for line in (args.data / "lfw-pair_list.txt").read_text().splitlines()]
    if args.pairs:
        stride = max(1, len(pairs) // args.pairs)
        pairs = [pair for kind in "10" for pair in [p for p in pairs if p[2] == kind][::stride]]
        # Mated and non-mated pairs alternate, so that every fold has both.
        pairs = [p for both in zip(pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]) for p in both]
        used = sorted({row_of[n] for p in pairs for n in p[:2]})
        place = {row: i for i, row in enumerate(used)}
        images = images[used]
        row_of = {name: place[row] for name, row in row_of.items() if row in place}
    a, b = (np.array([row_of[pair[side]] for pair in pairs]) for side in (0, 1))
    mated = np.array([pair[2] == "1" for pair in pairs])

    similarity = lambda e: (unit(e)[a] * unit(e)[b]).sum(1)
    distance = lambda e: np.arccos(np.clip(similarity(e), -1, 1)) / np.pi
    tables = {"LFW": images, "LFW, half degraded": half_degraded(images, args.seed)}
    for title, shown in tables.items():
        embedding, published, score = assess(net, shown, device)
        if title == "LFW":
            print(
                f"\n{len(pairs)} LFW comparisons: 10-fold accuracy {ten_fold_accuracy(similarity(embedding), mated):.4f}, "
                f"FNMR at FMR 1e-3 {fnmr_at(distance(embedding), mated, 1e-3):.4f}"
            )
        qualities = {
            "random": np.random.default_rng(args.seed).random(len(shown)),
            "Laplacian sharpness": sharpness(shown),
            "own embedding norm": np.linalg.norm(embedding, axis=1),
            "published score": published,
            "score with key bias": score,
        }
        print(
            f"\npAUC-EDC x 1000, {title}, {len(pairs)} comparisons, FMR 1e-3, protocol `crfiqa`\n\n"
            "| quality | SFace | MobileFaceNet |\n|---|---|---|"
        )
        # Cached, since they do not depend on the evaluated model.
        stem = f"{title.replace(', ', '-').replace(' ', '-').lower()}-{len(shown)}-{args.seed}"
        judged = [
            cached(args.work / f"{stem}-{name}.npy", recogniser, shown)
            for name, recogniser in (("sface", sface), ("mobilefacenet", mobile))
        ]
        for name, quality in qualities.items():
            values = [pauc(distance(e), mated, np.minimum(quality[a], quality[b])) for e in judged]
            print(f"| {name} | {values[0]:.1f} | {values[1]:.1f} |")
        norms, oracles = [], []
        for e in judged:
            norm = np.linalg.norm(e, axis=1)
            norms.append(pauc(distance(e), mated, np.minimum(norm[a], norm[b])))
            # The quality of an image is the similarity of its worst mated comparison.
            worst = np.full(len(shown), np.inf)
            for side in (a, b):
                np.minimum.at(worst, side[mated], similarity(e)[mated])
            oracles.append(pauc(distance(e), mated, np.minimum(worst[a], worst[b])))
        print(f"| the recogniser's embedding norm | {norms[0]:.1f} | {norms[1]:.1f} |")
        print(f"| theoretical best | {oracles[0]:.1f} | {oracles[1]:.1f} |")


if __name__ == "__main__":
    main()
