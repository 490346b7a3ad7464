"""Trains the detector; see README.md. Everything is seeded, and an interrupted run resumes."""

import argparse
import copy
import csv
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import views
from decode import STRIDES
from export import export
from images import ROOT, SHARED, scenes, tar_images, without_faces
from network import Network
from teacher import MIN_BOX_SCORE, Teacher, boxes
from torch.nn import functional

SIDE = 256
# Fractions of the views: portraits, and scenes without a face; the rest are the other scenes.
PORTRAITS, NO_FACE = 0.35, 0.12
COLUMNS = ["step", "minutes", "rate", "loss", "score", "box", "points"]


class Batches(torch.utils.data.Dataset):
    """Training batches; batch number `step` depends only on the seed and the step."""

    def __init__(self, classes, seed, count, steps, teacher):
        self.seed, self.count, self.steps, self.path = seed, count, steps, teacher
        found = dict(scenes(classes, held_out=False))
        empty = without_faces()
        self.scenes = [image for name, image in found.items() if name not in empty]
        self.empty = [image for name, image in found.items() if name in empty]
        self.portraits = [image for _, image in tar_images(SHARED / "fairface-original-224.tar")]
        self.teacher = None

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        cv2.setNumThreads(1)
        self.teacher = self.teacher or Teacher(self.path)
        rng = np.random.default_rng([self.seed, step])
        made = [self.view(rng) for _ in range(self.count)]
        clean = np.stack([view for view, _ in made])
        cells = self.teacher.cells(clean)
        mirrored = self.teacher.cells(np.ascontiguousarray(clean[:, :, ::-1]))
        cells[..., 0] = (cells[..., 0] + mirror(mirrored[..., 0])) / 2
        seen = []
        for index, (view, has_faces) in enumerate(made):
            if not has_faces:
                cells[index, :, 0] = 0
            seen.append(views.degraded(rng, view, boxes(cells[index], SIDE, 0.6)))
        return torch.from_numpy(np.stack(seen)), torch.from_numpy(cells)

    def view(self, rng):
        """A square view, and whether it may contain a face."""
        kind = rng.random()
        has_faces = True

        def pick():
            return self.portraits[rng.integers(len(self.portraits))]

        if kind < PORTRAITS:
            view = views.of_portraits(rng, pick, SIDE)
        elif kind < PORTRAITS + NO_FACE and self.empty:
            view, has_faces = views.of_scene(rng, self.empty[rng.integers(len(self.empty))], SIDE), False
        else:
            view = views.of_scene(rng, self.scenes[rng.integers(len(self.scenes))], SIDE)
        if rng.random() < 0.5:
            view = np.ascontiguousarray(view[:, ::-1])
        return views.coloured(rng, view), has_faces


def mirror(scores):
    """Scores `[B, cells]` of mirrored views, rearranged to match the cells of the plain view."""
    parts, offset = [], 0
    for stride in STRIDES:
        n = SIDE // stride
        level = scores[:, offset : offset + n * n].reshape(-1, n, n)
        parts.append(level[:, :, ::-1].reshape(-1, n * n))
        offset += n * n
    return np.concatenate(parts, 1)


class ResumedSteps(torch.utils.data.Sampler):
    """The steps from `start`, in order."""

    def __init__(self, start, steps):
        self.start, self.steps = start, steps

    def __iter__(self):
        return iter(range(self.start, self.steps))

    def __len__(self):
        return self.steps - self.start


def losses(outputs, cells):
    """Score, box and landmark losses relative to the teacher's cells."""
    flat = torch.cat([o.flatten(2).transpose(1, 2) for o in outputs], 1).float()
    wanted = cells[..., 0]
    level = flat[..., 0]
    cross = functional.binary_cross_entropy_with_logits(level, wanted, reduction="none")
    focus = (torch.sigmoid(level) - wanted).abs() ** 1.5
    count = wanted.sum().clamp(min=1)
    score = (cross * focus).sum() / count
    sure = wanted > MIN_BOX_SCORE
    weight = wanted[sure] / count
    found, wanted = flat[sure], cells[sure]
    size = ((wanted[:, 3] + wanted[:, 4]) / 2).exp()[:, None]
    centre = (found[:, 1:3] - wanted[:, 1:3]).abs() / size
    stretch = (found[:, 3:5] - wanted[:, 3:5]).abs()
    box = ((centre.mean(1) * 4 + stretch.mean(1)) * weight).sum()
    points = (((found[:, 5:] - wanted[:, 5:]).abs() / size).mean(1) * weight).sum()
    return score, box, points


def learning_rate(done, top, warm=0.01):
    """Warm-up and cosine decay over the completed fraction of the run."""
    if done < warm:
        return top * done / warm + 1e-5
    return top * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min(1, (done - warm) / (1 - warm)))))


def update_ema(average, network, step):
    """Exponential moving average of weights and statistics."""
    keep = min(0.998, (1 + step) / (20 + step))
    with torch.no_grad():
        for slow, fast in zip(average.state_dict().values(), network.state_dict().values()):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", default=SHARED / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--classes", default="A", help="classes of terms of use of the scenes")
    parser.add_argument("--work", type=Path, default=ROOT / "target/detector", help="checkpoint and log")
    parser.add_argument("--output", type=Path, default=ROOT / "models/detector.onnx")
    parser.add_argument(
        "--from", dest="begin", type=Path, help="checkpoint with averaged weights to start from"
    )
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=16, help="views of 256x256 per step")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=250)
    options = parser.parse_args()

    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network().to(device, memory_format=torch.channels_last)
    if options.begin:
        network.load_state_dict(torch.load(options.begin, map_location=device, weights_only=True)["average"])
    average = copy.deepcopy(network)
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate)
    start, spent = 0, 0.0
    saved, log = options.work / "checkpoint.pt", options.work / "log.csv"
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start, spent = state["step"], state["minutes"]
        print(f"resumes at step {start}", flush=True)
    else:
        with open(log, "w", newline="") as file:
            csv.writer(file).writerow(COLUMNS)

    batches = Batches(options.classes, options.seed, options.batch, options.steps, options.teacher)
    loader = torch.utils.data.DataLoader(
        batches, batch_size=None, sampler=ResumedSteps(start, options.steps),
        num_workers=options.workers, prefetch_factor=8 if options.workers else None,
    )  # fmt: skip
    began, sums, seen, waited = time.time(), np.zeros(4), 0, 0.0
    step, ready = start, time.time()
    for pixels, cells in loader:
        waited += time.time() - ready
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step / options.steps, options.rate)
        x = pixels.to(device).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        network.train()
        parts = losses(network(x), cells.to(device))
        loss = 2 * parts[0] + parts[1] + 2 * parts[2]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        update_ema(average, network, step)
        sums += [loss.item(), *(p.item() for p in parts)]
        seen += 1
        if step % options.save_every == 0 or step == options.steps:
            minutes = spent + (time.time() - began) / 60
            row = [str(step), f"{minutes:.1f}", f"{optimiser.param_groups[0]['lr']:.2e}"]
            row += [f"{v:.4f}" for v in sums / seen]
            with open(log, "a", newline="") as file:
                csv.writer(file).writerow(row)
            print(",".join(row), f"waited {waited:.0f} s", flush=True)
            sums, seen = np.zeros(4), 0
            state = {
                "network": network.state_dict(), "average": average.state_dict(),
                "optimiser": optimiser.state_dict(), "step": step, "minutes": minutes,
            }  # fmt: skip
            torch.save(state, saved.with_suffix(".new"))
            saved.with_suffix(".new").replace(saved)
            export(copy.deepcopy(average), options.work / "detector.onnx", f"step {step} of {options.steps}")
        ready = time.time()
    (options.work / "detector.onnx").replace(options.output)


if __name__ == "__main__":
    main()
