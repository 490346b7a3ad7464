"""Distils a recogniser from a teacher, and trains its attention to follow utility.

The same command resumes from the last checkpoint. See README.md.
"""

import argparse
import csv
import time
from pathlib import Path

import export
import hints
import numpy as np
import torch
import validation
from batches import Batches, pool, split
from embedded import cached
from faces import blended, decoded
from losses import NAMES, AuxiliaryHeads, losses
from network import SIZES, Recogniser
from optimizers import optimizers, set_rates, take_step
from options import add_options
from recognition import Recognition
from space import Space
from starting import fit_hint_layer, fit_score_scale, measure_batch_norms
from teacher import Onnx
from validation import autocast, to_input

COLUMNS = ["step", "images", "seconds", "lr", *NAMES, *validation.COLUMNS]


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--faces", type=Path, default=Path("../shared/data/fairface-aligned-112.tar"))
    p.add_argument("--teacher", type=Path, default=Path("../shared/data/models/sface-2021dec.onnx"))
    p.add_argument("--work", type=Path, required=True, help="folder for caches and checkpoints")
    p.add_argument("--size", choices=SIZES, default="attn-fiqa-s")
    add_options(p)
    p.add_argument("--limit-faces", type=int, help="use the first faces only")
    p.add_argument("--blends", type=int, default=0, help="blended faces to add")
    p.add_argument("--pool", type=int, default=20000, help="degraded faces assessed by the teacher")
    p.add_argument("--steps", type=int, default=4000)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--pool-share", type=float, default=0.4)
    p.add_argument(
        "--damage", type=float, default=0.15, help="fraction of the fresh images that are degraded"
    )
    p.add_argument("--minutes", type=float, help="end after this time instead of after --steps")
    p.add_argument(
        "--decay",
        type=float,
        default=0.4,
        help="last fraction of the run, over which the learning rate falls to zero",
    )
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=0, help="processes that make batches")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    p.add_argument("--output", type=Path, required=True, help="safetensors to write")
    p.add_argument("--log", type=Path, required=True, help="CSV to append to")
    return p.parse_args()


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.work.mkdir(parents=True, exist_ok=True)

    faces, _ = decoded(args.faces, args.work)
    tag = "all" if args.limit_faces is None else str(args.limit_faces)
    faces = faces[: args.limit_faces]
    teacher = Onnx(args.teacher, args.threads)
    clean = cached(args.work / f"teacher-{tag}.npy", teacher, faces)
    rows, held_rows = split(len(faces), args.seed)
    mean = clean[rows].mean(0)
    blends, embeddings = None, clean
    if args.blends:
        blends = blended(faces[rows], args.blends, args.work, args.seed)
        name = f"teacher-blends-{tag}-{args.blends}-{args.seed}.npy"
        embeddings = np.concatenate([clean, cached(args.work / name, teacher, blends)])
    space = Space(clean[rows])
    targets = space(embeddings)
    mapper = Onnx(args.teacher, args.threads, maps=True)
    basis = args.work / "hints-basis.npz"
    seen = [hints.cached(args.work / f"hints-{tag}.npy", mapper, faces, basis)]
    if args.blends:
        name = f"hints-blends-{tag}-{args.blends}-{args.seed}.npy"
        seen.append(hints.cached(args.work / name, mapper, blends, basis))
    make = lambda rows, size, seed, name: pool(
        faces, rows, clean, mean, size, seed, f"{name}-{tag}", teacher, args.work
    )
    train_pool = make(rows, args.pool, args.seed, "train")
    held = make(held_rows, max(200, args.pool // 10), args.seed + 1, "held")
    # Target for fresh images that are not degraded: that of the face they were made from.
    quality = np.full(len(embeddings), np.nan, np.float32)
    if args.target == "recognition":
        recognition = Recognition.of(clean[rows], train_pool.embeddings, clean[train_pool.face])
        print(recognition, flush=True)
        quality = recognition(torch.from_numpy(embeddings)).numpy()
        for assessed in (train_pool, held):
            assessed.follow(recognition)

    held_faces, held_targets = faces[held_rows], targets[held_rows]

    net = Recogniser(SIZES[args.size]).to(device)
    verdict = AuxiliaryHeads(net.shape.dim).to(device)
    if args.start:
        export.read(net, *args.start)
    descent = optimizers(net, verdict, args.lr)
    state, step, images, seconds = args.work / f"{args.output.stem}.state", 0, 0, 0.0
    if state.exists():
        saved = torch.load(state, map_location=device)
        net.load_state_dict(saved["net"])
        verdict.load_state_dict(saved["verdict"])
        for optimizer, held_state in zip(descent, saved["optimizers"]):
            optimizer.load_state_dict(held_state)
        step, images, seconds = saved["step"], saved["images"], saved["seconds"]

    batches = Batches(
        faces,
        blends,
        targets,
        quality,
        seen,
        rows,
        train_pool,
        args.batch,
        args.pool_share,
        args.damage,
        args.steps,
        args.seed,
    )

    def on_device(batch):
        batch = {name: value.to(device) for name, value in batch.items()}
        return batch | {"images": to_input(batch["images"], device)}

    if not state.exists():
        if args.start:
            measure_batch_norms(net, train_pool, device)
            fit_hint_layer(verdict, net, on_device(batches[0]))
        fit_score_scale(verdict, net, train_pool, device)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(batches, range(step, args.steps)), batch_size=None, num_workers=args.workers
    )
    new = not args.log.exists()
    log = args.log.open("a", newline="")
    writer = csv.writer(log)
    if new:
        writer.writerow(COLUMNS)
    sums, counted, began = np.zeros(len(NAMES)), 0, time.monotonic()

    def record(rate):
        means = sums / counted if counted else np.full(len(NAMES), np.nan)
        values = [*means, *validation.validate(net, held, held_faces, targets, held_targets, device)]
        elapsed = seconds + time.monotonic() - began
        writer.writerow([step, images, round(elapsed), f"{rate:.2e}", *(f"{v:.4f}" for v in values)])
        log.flush()
        torch.save(
            {
                "net": net.state_dict(),
                "verdict": verdict.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in descent],
                "step": step,
                "images": images,
                "seconds": elapsed,
            },
            state.with_suffix(".part"),
        )
        state.with_suffix(".part").rename(state)

    if not state.exists():
        record(0.0)
    net.train()
    for batch in loader:
        if args.minutes:
            done = (seconds + time.monotonic() - began) / 60 / args.minutes
        else:
            done = step / args.steps
        rate = set_rates(descent, args.lr, done, args.decay)
        loss, values = losses(net, verdict, on_device(batch), autocast(device))
        loss.backward()
        take_step(descent, net)
        sums += values.cpu().numpy()
        counted, step, images = counted + 1, step + 1, images + len(batch["targets"])
        ended = step == args.steps or done >= 1
        if step % args.every == 0 or ended:
            record(rate)
            sums, counted = np.zeros(len(NAMES)), 0
        if ended:
            break
    export.write(net.eval(), args.output)


if __name__ == "__main__":
    main()
