"""Distils a recogniser from a teacher, and teaches its attention to follow utility.

One command; run again, it goes on from its last checkpoint. See README.md.
"""

import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import export
from batches import Batches, pool, split
from faces import blended, decoded
from network import SIZES, Recogniser
from teacher import Onnx, cached, unit

QUALITY_WEIGHT = 3.0
MAP_WEIGHT = 0.3
# Hidden patches should receive this much less, on the scale of utility.
MAP_MARGIN = 0.3
COLUMNS = ["step", "pictures", "seconds", "lr", "distil", "quality", "map",
           "agreement", "spearman", "spearman_published", "map_gap"]


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--faces", type=Path, default=Path("../shared/data/fairface-aligned-112.tar"))
    p.add_argument("--teacher", type=Path, default=Path("../shared/data/models/sface-2021dec.onnx"))
    p.add_argument("--work", type=Path, required=True, help="folder for caches and checkpoints")
    p.add_argument("--size", choices=SIZES, default="attn-fiqa-s")
    p.add_argument("--warm-start", type=Path, help="canonical safetensors of the same size")
    p.add_argument("--limit-faces", type=int, help="use the first faces only")
    p.add_argument("--blends", type=int, default=0, help="blended faces to add")
    p.add_argument("--pool", type=int, default=20000, help="degraded faces judged by the teacher")
    p.add_argument("--steps", type=int, default=4000)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--pool-share", type=float, default=0.4)
    p.add_argument("--damage", type=float, nargs=2, default=(0.15, 0.6), metavar=("FIRST", "LAST"),
                   help="share of the fresh pictures that are damaged, at the first and the last step")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=0, help="processes that make batches")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    p.add_argument("--output", type=Path, required=True, help="safetensors to write")
    p.add_argument("--log", type=Path, required=True, help="CSV to append to")
    return p.parse_args()


def to_input(pictures, device):
    """u8 `[B, 112, 112, 3]` to -1..1 `[B, 3, 112, 112]`."""
    return (pictures.to(device).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def to_patches(masks, tokens):
    """Share of each patch that is hidden, `[B, N]`."""
    return F.adaptive_avg_pool2d(masks[:, None], math.isqrt(tokens)).flatten(1)


def map_gap(per_patch, hidden):
    """Visible minus hidden patches' mean, of the pictures that have both."""
    both = (hidden.mean(1) > 0.03) & (hidden.mean(1) < 0.85)
    hidden, per_patch = hidden[both], per_patch[both]
    shown = 1 - hidden
    return (per_patch * shown).sum(1) / shown.sum(1) - (per_patch * hidden).sum(1) / hidden.sum(1)


def spearman(a, b):
    rank = lambda x: np.argsort(np.argsort(x)).astype(float)
    return float(np.corrcoef(rank(a), rank(b))[0, 1])


def autocast(device):
    """bf16 on a GPU; PyTorch on a CPU trains half as fast in bf16 as in f32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


@torch.no_grad()
def validate(net, held, targets, device):
    net.eval()
    cosines, scores, published, gaps = [], [], [], []
    for start in range(0, len(held.face), 64):
        part = slice(start, start + 64)
        pictures = torch.from_numpy(np.array(held.pictures[part]))
        with autocast(device):
            embedding, per_patch, added = net(to_input(pictures, device))
        target = torch.from_numpy(targets[held.face[part]]).to(device)
        cosines.append(F.cosine_similarity(embedding, target).cpu())
        published.append(per_patch.mean(1).cpu())
        scores.append((per_patch.mean(1) + added).cpu())
        masks = torch.from_numpy(np.asarray(held.masks[part], np.float32)).to(device)
        gaps.append(map_gap(per_patch, to_patches(masks, net.shape.tokens)).cpu())
    net.train()
    score, raw = torch.cat(scores).numpy(), torch.cat(published).numpy()
    # A share of pictures, so that it means the same whatever the score's scale.
    gap = (torch.cat(gaps) > 0).float().mean().item()
    return (torch.cat(cosines).mean().item(), spearman(score, held.utility),
            spearman(raw, held.utility), gap)


@torch.no_grad()
def first_scale(net, judged, device, count=256):
    """Gain (as a logarithm) and offset that bring the scores nearest to utility."""
    pictures = torch.from_numpy(np.array(judged.pictures[:count]))
    last_input = net.eval().trunk(to_input(pictures, device))
    per_patch, added = net.received(last_input)
    score, utility = (per_patch.mean(1) + added).cpu().numpy(), judged.utility[:count]
    covariance = np.cov(score, utility)
    # A score that does not follow utility yet starts flat.
    gain = max(covariance[0, 1] / max(covariance[0, 0], 1e-9), 1e-2 / max(score.std(), 1e-6))
    return math.log(gain), float(utility.mean() - gain * score.mean())


@torch.no_grad()
def measure_batch_norms(net, judged, device, count=256):
    """Gives each batch norm of a warm start the statistics of today's pictures and
    changes its weight and bias so that the network computes the same: a file may
    hold one that is the identity, which training would otherwise undo."""
    last_input = net.eval().trunk(to_input(torch.from_numpy(np.array(judged.pictures[:count])), device))
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
    targets = unit(embeddings - mean).astype(np.float32)
    make = lambda rows, size, seed, name: pool(
        faces, rows, clean, mean, size, seed, f"{name}-{tag}", teacher, args.work)
    train_pool = make(rows, args.pool, args.seed, "train")
    held = make(held_rows, max(200, args.pool // 10), args.seed + 1, "held")

    net = Recogniser(SIZES[args.size]).to(device)
    # On the scale of utility: exp(gain) * score + offset.
    gain = torch.nn.Parameter(torch.zeros((), device=device))
    offset = torch.nn.Parameter(torch.zeros((), device=device))
    if args.warm_start:
        export.read(net, args.warm_start)
    decayed = [p for p in net.parameters() if p.ndim > 1 and p is not net.key_bias]
    plain = [p for p in net.parameters() if p.ndim <= 1] + [net.key_bias, gain, offset]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=args.lr)
    state, step, pictures, seconds = args.work / f"{args.output.stem}.state", 0, 0, 0.0
    if state.exists():
        saved = torch.load(state, map_location=device)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        with torch.no_grad():
            gain.copy_(saved["gain"]), offset.copy_(saved["offset"])
        step, pictures, seconds = saved["step"], saved["pictures"], saved["seconds"]
    else:
        if args.warm_start:
            measure_batch_norms(net, train_pool, device)
        log_gain, start = first_scale(net, train_pool, device)
        with torch.no_grad():
            gain.fill_(log_gain), offset.fill_(start)

    batches = Batches(faces, blends, targets, rows, train_pool, args.batch,
                      args.pool_share, tuple(args.damage), args.steps, args.seed)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(batches, range(step, args.steps)),
        batch_size=None, num_workers=args.workers)
    new = not args.log.exists()
    log = args.log.open("a", newline="")
    writer = csv.writer(log)
    if new:
        writer.writerow(COLUMNS)
    sums, counted, began = np.zeros(3), 0, time.monotonic()

    def record(lr):
        losses = sums / counted if counted else np.full(3, np.nan)
        values = [*losses, *validate(net, held, targets, device)]
        elapsed = seconds + time.monotonic() - began
        writer.writerow([step, pictures, round(elapsed), f"{lr:.2e}", *(f"{v:.4f}" for v in values)])
        log.flush()
        torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "gain": gain,
                    "offset": offset, "step": step, "pictures": pictures, "seconds": elapsed},
                   state.with_suffix(".part"))
        state.with_suffix(".part").rename(state)

    if not state.exists():
        record(0.0)
    net.train()
    for images, target, utility, masks in loader:
        warm = min(1.0, (step + 1) / max(1, args.steps // 20))
        lr = args.lr * warm * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        for group in optimizer.param_groups:
            group["lr"] = lr
        target, utility, masks = target.to(device), utility.to(device), masks.to(device)
        with autocast(device):
            embedding, per_patch, added = net(to_input(images, device))
        distil = (1 - F.cosine_similarity(embedding, target)).mean()
        judged = ~utility.isnan()
        score = gain.exp() * (per_patch.mean(1) + added) + offset
        quality = (score[judged] - utility[judged]).square().mean()
        gap = gain.exp() * map_gap(per_patch, to_patches(masks, net.shape.tokens))
        shape = F.relu(MAP_MARGIN - gap).mean() if len(gap) else distil.new_zeros(())
        loss = distil + QUALITY_WEIGHT * quality + MAP_WEIGHT * shape
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        sums += [distil.item(), quality.item(), shape.item()]
        counted, step, pictures = counted + 1, step + 1, pictures + len(images)
        if step % args.every == 0 or step == args.steps:
            record(lr)
            sums, counted = np.zeros(3), 0
    export.write(net.eval(), args.output)


if __name__ == "__main__":
    main()
