"""Trains the detector; see README.md. Everything is seeded and a stopped run resumes."""

import argparse
import copy
import csv
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

import teacher
from decode import STRIDES, Detector
from evaluate import composed_scenes, compare
from export import export
from finish import finish
from network import Network
from scenes import Source, compose
from targets import assign

ROOT = Path(__file__).resolve().parents[2]
# Scene sides of a batch and how often; the number of scenes keeps the pixels alike.
SIDES, SIDE_SHARE = (256, 320, 448), (0.6, 0.28, 0.12)
COLUMNS = [
    "step", "minutes", "rate", "loss", "score", "box", "points",
    "recall", "precision", "points_p50", "points_p95",
]  # fmt: skip


class Batches(torch.utils.data.Dataset):
    """Batch number `step` is a function of the seed and the step alone."""

    def __init__(self, cache, seed, pixels, steps):
        self.cache, self.seed, self.pixels, self.steps = cache, seed, pixels, steps
        self.source = None

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        cv2.setNumThreads(1)
        self.source = self.source or Source(self.cache, "train")
        rng = np.random.default_rng([self.seed, step])
        side = int(rng.choice(SIDES, p=SIDE_SHARE))
        count = max(1, round(self.pixels / side**2))
        scenes, scores, where, values, weights = [], [], [], [], []
        for number in range(count):
            scene, faces, unknown = compose(rng, side, side, self.source)
            score, cells, owners, weight = assign(faces, unknown, side, side)
            scenes.append(scene)
            scores.append(score)
            where.append(np.stack([np.full_like(cells, number), cells], 1))
            values.append(faces[owners])
            weights.append(weight)
        return (
            torch.from_numpy(np.stack(scenes)),
            torch.from_numpy(np.stack(scores)),
            torch.from_numpy(np.concatenate(where)),
            torch.from_numpy(np.concatenate(values)),
            torch.from_numpy(np.concatenate(weights)),
        )


class From(torch.utils.data.Sampler):
    """The steps from `start` on, in order."""

    def __init__(self, start, steps):
        self.start, self.steps = start, steps

    def __iter__(self):
        return iter(range(self.start, self.steps))

    def __len__(self):
        return self.steps - self.start


def priors(side, device):
    """Column, row and stride of every cell, `[cells, 3]`."""
    cells = []
    for stride in STRIDES:
        n = side // stride
        row, column = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
        cells.append(torch.stack([column, row, torch.full_like(row, stride)], -1).reshape(-1, 3))
    return torch.cat(cells).float().to(device)


def losses(outputs, side, scores, where, values, weights):
    flat = torch.cat([o.flatten(2).transpose(1, 2) for o in outputs], 1).float()
    level = flat[..., 0]
    target = scores.clamp(min=0)
    cross = functional.binary_cross_entropy_with_logits(level, target, reduction="none")
    chance = torch.sigmoid(level)
    focus = torch.where(target > 0, 1 - chance, chance) ** 1.5
    count = max(1, len(where))
    score = (cross * focus * (scores >= 0)).sum() / count
    if len(where) == 0:
        return score, score * 0, score * 0

    found = flat[where[:, 0], where[:, 1], 1:]
    prior = priors(side, flat.device)[where[:, 1]]
    stride = prior[:, 2:]
    size = (values[:, 2:3] * values[:, 3:4]).sqrt()
    centre = (prior[:, :2] + found[:, :2]) * stride
    span = found[:, 2:4].clamp(max=6).exp() * stride
    wanted_centre = values[:, :2] + values[:, 2:4] / 2
    weight = weights / weights.sum()
    off = (centre - wanted_centre).abs() / size
    stretch = (found[:, 2:4] - (values[:, 2:4] / stride).log()).abs()
    overlap = generalised_iou(centre, span, wanted_centre, values[:, 2:4])
    box = ((1 - overlap + off.mean(1) + 0.5 * stretch.mean(1)) * weight).sum()
    points = (prior[:, :2].repeat(1, 5) + found[:, 4:]) * stride
    points = (((points - values[:, 4:]).abs() / size).mean(1) * weight).sum()
    return score, box, points


def generalised_iou(centre_a, span_a, centre_b, span_b):
    low_a, high_a = centre_a - span_a / 2, centre_a + span_a / 2
    low_b, high_b = centre_b - span_b / 2, centre_b + span_b / 2
    shared = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(min=0).prod(1)
    hull = (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).prod(1)
    union = span_a.prod(1) + span_b.prod(1) - shared
    return shared / union - (hull - union) / hull


def rate_at(step, steps, top, warm=300):
    if step < warm:
        return top * (step + 1) / warm
    return top * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1, (step - warm) / (steps - warm)))))


def follow(average, network, step):
    """Exponential moving average of weights and statistics."""
    keep = min(0.999, (1 + step) / (20 + step))
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), network.state_dict().values()):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--archive", default=shared / "fairface-original-224.tar")
    parser.add_argument("--teacher", default=shared / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--work", type=Path, default=ROOT / "target/detector", help="cache, checkpoint, log")
    parser.add_argument("--output", type=Path, default=ROOT / "models/detector.onnx")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=16, help="scenes of 256x256 a step")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--init", type=Path, help="checkpoint of another run to take the weights from")
    parser.add_argument("--check-every", type=int, default=500)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    teacher.label(options.archive, options.teacher, options.work)

    network = Network().to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate)
    start, spent = 0, 0.0
    saved = options.work / "checkpoint.pt"
    log = options.work / "log.csv"
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start, spent = state["step"], state["minutes"]
        print(f"resumes at step {start}", flush=True)
    else:
        if options.init:
            state = torch.load(options.init, map_location=device, weights_only=True)
            network.load_state_dict(state["average"])
            average.load_state_dict(state["average"])
        with open(log, "w", newline="") as file:
            csv.writer(file).writerow(COLUMNS)

    batches = Batches(options.work, options.seed, options.batch * 256**2, options.steps)
    loader = torch.utils.data.DataLoader(
        batches, batch_size=None, sampler=From(start, options.steps),
        num_workers=options.workers, prefetch_factor=16 if options.workers else None,
    )  # fmt: skip
    checks = composed_scenes(Source(options.work, "held-out"), 150, 320, seed=77)
    began, sums, seen, waited = time.time(), np.zeros(4), 0, 0.0
    step = start
    ready = time.time()
    for scenes, *targets in loader:
        waited += time.time() - ready
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, options.steps, options.rate)
        x = scenes.to(device).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        network.train()
        parts = losses(network(x), x.shape[-1], *(t.to(device) for t in targets))
        loss = parts[0] + parts[1] + 10 * parts[2]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        follow(average, network, step)
        sums += [loss.item(), *(p.item() for p in parts)]
        seen += 1
        if step % 100 == 0:
            minutes = spent + (time.time() - began) / 60
            means = " ".join(f"{v:.4f}" for v in sums / seen)
            print(f"{step} {minutes:.1f} min, waited {waited:.0f} s: {means}", flush=True)
        if step % options.check_every == 0 or step == options.steps:
            minutes = spent + (time.time() - began) / 60
            copy_of = copy.deepcopy(average)
            made = options.work / "detector.onnx"
            export(copy_of, made, f"step {step} of {options.steps}, seed {options.seed}")
            found = compare(Detector(made), checks, 0.5)
            row = [str(step), f"{minutes:.1f}", f"{rate_at(step - 1, options.steps, options.rate):.2e}"]
            row += [f"{v:.4f}" for v in sums / seen]
            row += [f"{found[k]:.4f}" for k in COLUMNS[-4:]]
            with open(log, "a", newline="") as file:
                csv.writer(file).writerow(row)
            print(",".join(row), flush=True)
            sums, seen = np.zeros(4), 0
            state = {
                "network": network.state_dict(), "average": average.state_dict(),
                "optimiser": optimiser.state_dict(), "step": step, "minutes": minutes,
            }  # fmt: skip
            torch.save(state, saved.with_suffix(".new"))
            saved.with_suffix(".new").replace(saved)
        ready = time.time()
    finish(saved, options.work, options.output)


if __name__ == "__main__":
    main()
