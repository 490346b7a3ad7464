"""Distils a recogniser from a teacher, and trains its attention to follow utility.

The same command resumes from the last checkpoint. See README.md.
"""

import argparse
import csv
import math
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
from losses import NAMES, Verdict, losses
from network import SIZES, Recogniser
from optimizers import optimizers, set_rates, take_step
from space import Space
from teacher import Onnx
from validation import autocast, to_input

COLUMNS = ["step", "images", "seconds", "lr", *NAMES, *validation.COLUMNS]


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--faces", type=Path, default=Path("../shared/data/fairface-aligned-112.tar"))
    p.add_argument("--teacher", type=Path, default=Path("../shared/data/models/sface-2021dec.onnx"))
    p.add_argument("--work", type=Path, required=True, help="folder for caches and checkpoints")
    p.add_argument("--size", choices=SIZES, default="attn-fiqa-s")
    p.add_argument("--warm-start", type=Path, help="canonical safetensors of the same size")
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


@torch.no_grad()
def first_scale(verdict, net, judged, device, count=256):
    """Gains and offsets that bring the scores nearest to utility."""
    images = torch.from_numpy(np.array(judged.images[:count]))
    last_input = net.eval().trunk(to_input(images, device))
    per_patch, added = net.received(last_input)
    published, utility = per_patch.mean(1).cpu(), judged.utility[:count]
    for which, score in enumerate(((published + added.cpu()).numpy(), published.numpy())):
        covariance = np.cov(score, utility)
        # A score that does not follow utility yet starts flat.
        gain = max(covariance[0, 1] / max(covariance[0, 0], 1e-9), 1e-2 / max(score.std(), 1e-6))
        verdict.gain[which] = math.log(gain)
        verdict.offset[which] = float(utility.mean() - gain * score.mean())


@torch.no_grad()
def measure_batch_norms(net, judged, device, count=256):
    """Gives each batch norm of a warm start the statistics of the current images and
    changes its weight and bias so that the network's outputs stay the same: a file may
    contain an identity batch norm, which training would otherwise undo."""
    last_input = net.eval().trunk(to_input(torch.from_numpy(np.array(judged.images[:count])), device))
    x = net.norm(net.blocks[-1](last_input)).flatten(1)
    for layer in net.feature:
        if isinstance(layer, torch.nn.BatchNorm1d):
            var, mean = torch.var_mean(x, 0)
            old = layer.weight / (layer.running_var + layer.eps).sqrt()
            layer.bias.add_(old * (mean - layer.running_mean))
            layer.weight.copy_(old * (var + layer.eps).sqrt())
            layer.running_mean.copy_(mean), layer.running_var.copy_(var)
        x = layer(x)


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

    held_faces, held_targets = faces[held_rows], targets[held_rows]

    net = Recogniser(SIZES[args.size]).to(device)
    verdict = Verdict(net.shape.dim).to(device)
    if args.warm_start:
        export.read(net, args.warm_start)
    descent = optimizers(net, verdict, args.lr)
    state, step, images, seconds = args.work / f"{args.output.stem}.state", 0, 0, 0.0
    if state.exists():
        saved = torch.load(state, map_location=device)
        net.load_state_dict(saved["net"])
        verdict.load_state_dict(saved["verdict"])
        for optimizer, held_state in zip(descent, saved["optimizers"]):
            optimizer.load_state_dict(held_state)
        step, images, seconds = saved["step"], saved["images"], saved["seconds"]
    else:
        if args.warm_start:
            measure_batch_norms(net, train_pool, device)
        first_scale(verdict, net, train_pool, device)

    batches = Batches(
        faces,
        blends,
        targets,
        seen,
        rows,
        train_pool,
        args.batch,
        args.pool_share,
        args.damage,
        args.steps,
        args.seed,
    )
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
        batch = {name: value.to(device) for name, value in batch.items()}
        batch["images"] = to_input(batch["images"], device)
        loss, values = losses(net, verdict, batch, autocast(device))
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
