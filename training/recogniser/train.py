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
import hints
from batches import Batches, pool, split
from faces import blended, decoded
from network import SIZES, Recogniser
from teacher import Onnx, Space, cached

QUALITY_WEIGHT = 3.0
MAP_WEIGHT = 0.3
HINT_WEIGHT = 1.0
CONTRAST_WEIGHT = 0.1
CONTRAST_SCALE = 16.0
# Hidden patches should receive this much less, on the scale of utility.
MAP_MARGIN = 0.3
LOSSES = ["distil", "contrast", "hint", "quality", "map"]
COLUMNS = ["step", "pictures", "seconds", "lr", *LOSSES, "agreement", "spearman",
           "spearman_published", "map_gap", "clean", "first"]


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
    p.add_argument("--damage", type=float, default=0.15,
                   help="share of the fresh pictures that are damaged")
    p.add_argument("--minutes", type=float, help="end after so long instead of after --steps")
    p.add_argument("--decay", type=float, default=0.4,
                   help="share of the run, at its end, over which the learning rate falls to zero")
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
    """bf16 on a GPU, and on a processor that multiplies in it."""
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


@torch.no_grad()
def recognised(net, faces, targets, device):
    """Of clean faces, the mean cosine with their targets, and the share whose target
    is the nearest of all."""
    embeddings = []
    for start in range(0, len(faces), 64):
        with autocast(device):
            embeddings.append(net(to_input(torch.from_numpy(np.array(faces[start : start + 64])), device))[0])
    cosines = F.normalize(torch.cat(embeddings)) @ torch.from_numpy(targets).to(device).T
    first = (cosines.argmax(1) == torch.arange(len(cosines), device=device)).float().mean()
    return cosines.diagonal().mean().item(), first.item()


@torch.no_grad()
def validate(net, held, targets, device):
    net.eval()
    cosines, scores, published, gaps = [], [], [], []
    for start in range(0, len(held.face), 64):
        part = slice(start, start + 64)
        pictures = torch.from_numpy(np.array(held.pictures[part]))
        with autocast(device):
            embedding, per_patch, added, _ = net(to_input(pictures, device))
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
    space = Space(clean[rows])
    targets = space(embeddings)
    mapper = Onnx(args.teacher, args.threads, maps=True)
    basis = args.work / "hints-basis.npz"
    seen = [hints.cached(args.work / f"hints-{tag}.npy", mapper, faces, basis)]
    if args.blends:
        name = f"hints-blends-{tag}-{args.blends}-{args.seed}.npy"
        seen.append(hints.cached(args.work / name, mapper, blends, basis))
    make = lambda rows, size, seed, name: pool(
        faces, rows, clean, mean, size, seed, f"{name}-{tag}", teacher, args.work)
    train_pool = make(rows, args.pool, args.seed, "train")
    held = make(held_rows, max(200, args.pool // 10), args.seed + 1, "held")

    held_faces, held_targets = faces[held_rows], targets[held_rows]

    net = Recogniser(SIZES[args.size]).to(device)
    # From the last tokens to what the teacher sees there; not part of the model.
    hint = torch.nn.Linear(net.shape.dim, hints.DIRECTIONS).to(device)
    # On the scale of utility: exp(gain) * score + offset.
    gain = torch.nn.Parameter(torch.zeros((), device=device))
    offset = torch.nn.Parameter(torch.zeros((), device=device))
    if args.warm_start:
        export.read(net, args.warm_start)
    decayed = [p for p in net.parameters() if p.ndim > 1 and p is not net.key_bias]
    plain = [p for p in net.parameters() if p.ndim <= 1] + [net.key_bias, gain, offset, *hint.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=args.lr, fused=True)
    state, step, pictures, seconds = args.work / f"{args.output.stem}.state", 0, 0, 0.0
    if state.exists():
        saved = torch.load(state, map_location=device)
        net.load_state_dict(saved["net"])
        hint.load_state_dict(saved["hint"])
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

    batches = Batches(faces, blends, targets, seen, rows, train_pool, args.batch,
                      args.pool_share, args.damage, args.steps, args.seed)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(batches, range(step, args.steps)),
        batch_size=None, num_workers=args.workers)
    new = not args.log.exists()
    log = args.log.open("a", newline="")
    writer = csv.writer(log)
    if new:
        writer.writerow(COLUMNS)
    sums, counted, began = np.zeros(len(LOSSES)), 0, time.monotonic()

    def record(lr):
        losses = sums / counted if counted else np.full(len(LOSSES), np.nan)
        values = [*losses, *validate(net, held, targets, device),
                  *recognised(net.eval(), held_faces, held_targets, device)]
        net.train()
        elapsed = seconds + time.monotonic() - began
        writer.writerow([step, pictures, round(elapsed), f"{lr:.2e}", *(f"{v:.4f}" for v in values)])
        log.flush()
        torch.save({"net": net.state_dict(), "hint": hint.state_dict(), "optimizer": optimizer.state_dict(), "gain": gain,
                    "offset": offset, "step": step, "pictures": pictures, "seconds": elapsed},
                   state.with_suffix(".part"))
        state.with_suffix(".part").rename(state)

    if not state.exists():
        record(0.0)
    net.train()
    for batch in loader:
        if args.minutes:
            done = (seconds + time.monotonic() - began) / 60 / args.minutes
        else:
            done = step / args.steps
        # Warm-up, then even, then down in a straight line.
        lr = args.lr * min(1.0, done / 0.02 + 1e-2, max(0.0, 1 - done) / args.decay)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batch = {name: value.to(device) for name, value in batch.items()}
        target, utility = batch["targets"], batch["utility"]
        fresh = len(target) - len(utility)
        with autocast(device):
            embedding, per_patch, added, tokens = net(to_input(batch["pictures"], device))
            foretold = hint(tokens[:fresh]).float()
        # What the teacher itself no longer recognises is no lesson.
        weight = torch.cat([torch.ones(fresh, device=device), utility.clamp(0, 1)])
        share = weight / weight.sum()
        embedding = F.normalize(embedding)
        cosine = (embedding * target).sum(1)
        distil = ((1 - cosine) * share).sum()
        same = target @ batch["strangers"].T > 0.999
        others = (embedding @ batch["strangers"].T).masked_fill(same, -1.0)
        logits = CONTRAST_SCALE * torch.cat([cosine[:, None], others], 1)
        contrast = -(logits.log_softmax(1)[:, 0] * share).sum()
        there = hints.under_patches(batch["hints"], batch["ways"], math.isqrt(net.shape.tokens))
        hinted = (foretold - there).square().mean()
        score = gain.exp() * (per_patch.mean(1) + added)[fresh:] + offset
        quality = (score - utility).square().mean()
        gap = gain.exp() * map_gap(per_patch[fresh:], to_patches(batch["masks"], net.shape.tokens))
        shape = F.relu(MAP_MARGIN - gap).mean() if len(gap) else distil.new_zeros(())
        loss = (distil + CONTRAST_WEIGHT * contrast + HINT_WEIGHT * hinted
                + QUALITY_WEIGHT * quality + MAP_WEIGHT * shape)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        sums += [distil.item(), contrast.item(), hinted.item(), quality.item(), shape.item()]
        counted, step, pictures = counted + 1, step + 1, pictures + len(target)
        ended = step == args.steps or done >= 1
        if step % args.every == 0 or ended:
            record(lr)
            sums, counted = np.zeros(len(LOSSES)), 0
        if ended:
            break
    export.write(net.eval(), args.output)


if __name__ == "__main__":
    main()
