"""Trains the landmark network; see README.md. Everything is seeded and a stopped run resumes."""

import argparse
import copy
import csv
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from geometry import EYES, apply, fit, inverse, mirror, warp
from labels import average_all, label
from net import Network
from views import Faces, sample
from weights import export, save

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["step", "minutes", "rate", "loss", "one_p50", "one_p95", "two_p50", "two_p95"]
# Errors below this share of the eye distance are the teacher's noise.
SMOOTH = 0.02


class Batches(torch.utils.data.Dataset):
    """Batch number `step` is a function of the seed and the step alone."""

    def __init__(self, cache, seed, batch, steps):
        self.cache, self.seed, self.batch, self.steps = cache, seed, batch, steps
        self.faces = None

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        cv2.setNumThreads(1)
        self.faces = self.faces or Faces(self.cache, "train")
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.integers(len(self.faces), size=self.batch)
        views, points = zip(*(sample(rng, *self.faces.at(index)) for index in chosen))
        views = np.stack(views).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(views)), torch.from_numpy(np.stack(points)).float()


class From(torch.utils.data.Sampler):
    """The steps from `start` on, in order."""

    def __init__(self, start, steps):
        self.start, self.steps = start, steps

    def __iter__(self):
        return iter(range(self.start, self.steps))

    def __len__(self):
        return self.steps - self.start


def look(network, views):
    """Points `[n, 5, 2]` of views u8 `[n, VIEW, VIEW, 3]`: the mean of plain and mirrored."""
    device = next(network.parameters()).device
    both = np.concatenate([views, views[:, :, ::-1]])
    with torch.no_grad():
        x = torch.from_numpy(np.ascontiguousarray(both.transpose(0, 3, 1, 2))).float().to(device)
        plain, mirrored = network(x).double().cpu().numpy().reshape(2, len(views), 5, 2)
    return (plain + mirror(mirrored)) / 2


def errors(network, faces, seed=5, passes=2):
    """Mean point errors after each pass as shares of the eye distance, of held-out faces."""
    rng = np.random.default_rng(seed)
    network.eval()
    made = []
    for index in range(len(faces)):
        picture, points = faces.at(index)
        view, there = sample(rng, picture, points, spoiled=False)
        # The similarity that made the view: exact, five points determine it.
        made.append((picture, points, fit(points, there)))
    found = [[] for _ in range(passes)]
    for start in range(0, len(made), 64):
        part = made[start : start + 64]
        matrices = [matrix for _, _, matrix in part]
        for number in range(passes):
            views = np.stack([warp(picture, m) for (picture, _, _), m in zip(part, matrices)])
            seen = [apply(inverse(m), p) for m, p in zip(matrices, look(network, views))]
            for (_, truth, _), points in zip(part, seen):
                eyes = max(np.linalg.norm(truth[1] - truth[0]), 1.0)
                found[number].append(np.linalg.norm(points - truth, axis=1).mean() / eyes)
            matrices = [fit(points) for points in seen]
    return np.array(found)


def loss_of(points, truth):
    """Smooth L1 of the points' distances, as shares of the eye distance of a frontal face."""
    away = torch.sqrt(((points - truth) / EYES).square().sum(-1) + 1e-9)
    return torch.nn.functional.smooth_l1_loss(away, torch.zeros_like(away), beta=SMOOTH)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--archive", default=shared / "fairface-original-224.tar")
    parser.add_argument("--teacher", default=shared / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--work", type=Path, default=ROOT / "target/landmarks")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=250, help="steps between measurements")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    label(options.archive, options.teacher, options.work)
    average_all(options.teacher, options.work, max(options.workers, 1))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network().to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=1e-3)
    checkpoint, log = options.work / "checkpoint.pt", options.work / "log.csv"
    start, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start, spent = state["step"], state["spent"]
    else:
        log.write_text(",".join(COLUMNS) + "\n")
    batches = torch.utils.data.DataLoader(
        Batches(options.work, options.seed, options.batch, options.steps),
        batch_size=None,
        sampler=From(start, options.steps),
        num_workers=options.workers,
    )
    held_out = Faces(options.work, "held-out")
    begun, total = time.monotonic() - spent, 0.0
    for step, (views, truth) in enumerate(batches, start + 1):
        warm = min(1.0, step / 200)
        rate = options.rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / options.steps)) + 1e-6
        for group in optimiser.param_groups:
            group["lr"] = rate
        network.train()
        views = views.to(device).float().contiguous(memory_format=torch.channels_last)
        loss = loss_of(network(views), truth.to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        total += loss.item()
        with torch.no_grad():
            keep = min(0.999, step / (step + 20))
            for mean, value in zip(average.state_dict().values(), network.state_dict().values()):
                if value.dtype.is_floating_point:
                    mean.lerp_(value, 1 - keep)
                else:
                    mean.copy_(value)
        if step % options.every == 0 or step == options.steps:
            one, two = np.percentile(errors(average, held_out), [50, 95], axis=1).T
            spent = time.monotonic() - begun
            row = [step, f"{spent / 60:.1f}", f"{rate:.2e}", f"{total / options.every:.4f}"]
            row += [f"{value:.4f}" for value in (*one, *two)]
            with log.open("a") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
            print(" ".join(map(str, row)), flush=True)
            total = 0.0
            state = {"network": network.state_dict(), "average": average.state_dict(), "spent": spent}
            torch.save({**state, "optimiser": optimiser.state_dict(), "step": step}, checkpoint)
    note = f"seed {options.seed}, {options.steps} steps"
    export(average, options.work / "landmarks.onnx", note)
    save(average, options.work / "landmarks.safetensors", note)


if __name__ == "__main__":
    main()
