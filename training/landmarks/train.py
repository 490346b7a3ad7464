"""Labels the faces and trains the landmark network within a given time; see README.md."""

import time

BEGUN = time.monotonic()

import argparse  # noqa: E402
import copy  # noqa: E402
import csv  # noqa: E402
import math  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from batch_labels import label  # noqa: E402
from batches import Batches, Set, off  # noqa: E402
from crops import corrected, correction  # noqa: E402
from degradations import Degrader  # noqa: E402
from geometry import EYES, MIRRORED, TEMPLATE, VIEW  # noqa: E402
from images import Images, apply, compose, fit, inverse, read  # noqa: E402
from net import WIDTHS, Network  # noqa: E402
from views import MAX_SPREAD, held_out  # noqa: E402
from weights import export, save  # noqa: E402
from yunet import Teacher  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["step", "seconds", "rate", "loss", "one_p50", "one_p95", "two_p50", "two_p95"]
# Errors below `SMOOTH`, as a fraction of the inter-eye distance, are the teacher's noise. The part
# of a face's mean error beyond `TAIL` counts twice.
SMOOTH, TAIL = 0.02, 0.04
# In a profile the eyes nearly coincide, so errors are relative to at least this many pixels.
MIN_EYE_DISTANCE = 0.5 * EYES
# Latest times, as fractions of the total, for the labels of the whole images and for all labels.
LABELLED = (0.2, 0.4)
# Maximum number of views per face in each set.
VIEWS = (48, 32)
# Fraction of whole images in a batch, and fraction of the time after which only those are used,
# since the labels of aligned crops are less precise.
WHOLE, WHOLE_ONLY = 0.4, 0.7
# Weight of the label of an aligned crop.
CROP_WEIGHT = 0.7
# Seconds reserved for the last evaluation and the files.
RESERVE = 4.0


def seconds():
    return time.monotonic() - BEGUN


def log_line(*parts):
    print(f"{seconds():6.1f} s:", *parts, flush=True)


def load_sets(options, device, generator):
    """The training faces, as sets, and the held-out faces; writes the labels of the whole images."""
    teacher = Teacher(options.teacher, device)
    names, images = read(options.archive, options.limit)
    log_line(f"{len(names)} images read")
    images = Images(images, device)
    until = [BEGUN + fraction * options.seconds for fraction in LABELLED]
    labels = label(teacher, images, VIEWS[0], until[0], generator, "images")
    np.savez(options.output / "landmarks.npz", names=np.array(names), **labels)
    hidden = held_out(np.array(names))
    sure, away = labels["spread"] <= MAX_SPREAD, hidden[labels["image"]]
    sets, held_out_faces = [Set.of(images, labels, sure & ~away)], Set.of(images, labels, sure & away)
    if options.aligned:
        try:
            weights = correction(teacher, images, labels, hidden, until[1], generator)
            hidden = {Path(name).stem for name, chosen in zip(names, hidden) if chosen}
            sets.append(aligned(options, teacher, hidden, weights, until[1], generator))
        except Exception:
            # The whole images alone are enough for training.
            traceback.print_exc()
            log_line("no aligned faces")
    return sets, held_out_faces


def aligned(options, teacher, hidden, weights, until, generator):
    """The aligned faces except those of held-out images."""
    faces = np.load(options.aligned, mmap_mode="r")[: options.limit]
    images = Images(faces, teacher.device)
    log_line(f"{len(images)} aligned faces read")
    labels = label(teacher, images, VIEWS[1], until, generator, "aligned faces")
    labels["points"] = corrected(labels["points"], weights)
    kept = labels["spread"] <= MAX_SPREAD
    if options.aligned_names:
        # `12_0.webp` is the first face of image 12.
        names = options.aligned_names.read_text().split()
        shown = np.array([Path(name).stem.split("_")[0] in hidden for name in names])
        kept &= ~shown[labels["image"]]
    return Set.of(images, labels, kept, CROP_WEIGHT, bordered=True)


def predict(network, views):
    """Points `[n, 5, 2]` of views: the mean over the plain and the mirrored view."""
    plain, mirrored = network(torch.cat([views, views.flip(3)])).chunk(2)
    mirrored = torch.stack([VIEW - 1 - mirrored[..., 0], mirrored[..., 1]], -1)
    return (plain + mirrored[:, MIRRORED]) / 2


@torch.no_grad()
def errors(network, faces, passes=2, seed=5, part=256):
    """Mean point errors after each pass as fractions of the inter-eye distance, `[passes, n]`."""
    device = faces.points.device
    generator = torch.Generator(device).manual_seed(seed)
    template = torch.tensor(TEMPLATE, dtype=torch.float32, device=device)
    network.eval()
    moves = off(len(faces), generator, device, (1.0, 2.2), (0.7, 0.3))
    matrices = compose(moves, fit(faces.points, template))
    found = []
    for start in range(0, len(faces), part):
        rows, truth, there = (x[start : start + part] for x in (faces.image, faces.points, matrices))
        eyes = (truth[:, 1] - truth[:, 0]).norm(dim=1).clamp(min=1)
        each = []
        for _ in range(passes):
            points = predict(network, faces.images.views(rows, there, VIEW).round())
            points = apply(inverse(there), points)
            each.append((points - truth).norm(dim=2).mean(1) / eyes)
            there = fit(points, template)
        found.append(torch.stack(each))
    return torch.cat(found, 1).cpu().numpy()


def loss_of(points, truth, weight):
    """Smooth L1 loss of point distances, as fractions of the face's own inter-eye distance."""
    eyes = (truth[:, 1] - truth[:, 0]).norm(dim=1).clamp(min=MIN_EYE_DISTANCE)
    away = torch.sqrt((points - truth).square().sum(-1) + 1e-4) / eyes[:, None]
    smooth = torch.where(away < SMOOTH, away.square() / (2 * SMOOTH), away - SMOOTH / 2).mean(1)
    return ((smooth + (away.mean(1) - TAIL).clamp(min=0)) * weight).sum() / weight.sum()


class Trainer:
    def __init__(self, network, rate):
        self.network, self.average, self.steps = network, copy.deepcopy(network), 0
        fused = next(network.parameters()).is_cuda
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2, fused=fused)
        pairs = zip(self.average.state_dict().values(), network.state_dict().values())
        # The batch norm counters are not needed, since the momentum is fixed.
        self.pairs = [pair for pair in pairs if pair[0].dtype.is_floating_point]

    def step(self, batch, rate, layout):
        views, truth, weight = batch
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        loss = loss_of(self.network(views.contiguous(memory_format=layout)), truth, weight)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.steps += 1
        keep = min(0.999, self.steps / (self.steps + 20))
        with torch.no_grad():
            torch._foreach_lerp_([a for a, _ in self.pairs], [b for _, b in self.pairs], 1 - keep)
        return loss.detach()


def fastest(network, batches, steps=8):
    """The memory layout with the fastest step."""
    spent = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        trial = Trainer(copy.deepcopy(network).to(memory_format=layout), 1e-3)
        for number in range(2 * steps):
            if number == steps:
                begun = time.monotonic()
            trial.step(batches.next(), 1e-4, layout).item()
        spent[layout] = (time.monotonic() - begun) / steps
    log_line("seconds per step:", {str(layout): round(value, 4) for layout, value in spent.items()})
    return min(spent, key=spent.get)


def write(average, output, note):
    """Writes the files of the current network, each replaced atomically."""
    network = copy.deepcopy(average).cpu().to(memory_format=torch.contiguous_format)
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise ValueError("the weights are not finite")
    for name, form in (("landmarks.onnx", export), ("landmarks.safetensors", save)):
        made = output / f"new-{name}"
        form(network, made, note)
        made.replace(output / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--archive", type=Path, default=shared / "fairface-original-224.tar")
    parser.add_argument("--aligned", type=Path, help="aligned faces, u8 RGB [n, 112, 112, 3] as .npy")
    parser.add_argument("--aligned-names", type=Path, help="their names, to exclude held-out images")
    parser.add_argument("--teacher", type=Path, default=shared / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--output", type=Path, default=ROOT / "target/landmarks")
    parser.add_argument("--seconds", type=float, default=165, help="time limit of the whole run")
    parser.add_argument("--widths", choices=WIDTHS, default="wide")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--every", type=float, default=15, help="seconds between evaluations")
    parser.add_argument("--limit", type=int, help="number of images of each set, for trying out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    # The teacher's labels are computed in full precision, and with too many view sizes for cuDNN
    # to search for the fastest algorithm for each.
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(options.device)
    generator = torch.Generator(device).manual_seed(options.seed)
    log_line(f"{device}, torch {torch.__version__}")
    sets, held_out_faces = load_sets(options, device, generator)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    log_line("faces:", *(len(faces) for faces in sets), f"for training, {len(held_out_faces)} held out")

    degrader = Degrader(device, generator)
    whole = round(options.batch * WHOLE)
    counts = [whole, options.batch - whole] if len(sets) > 1 else [options.batch]
    batches = Batches(sets, counts, degrader, generator)
    exact = Batches(sets[:1], [options.batch], degrader, generator)
    network = Network(WIDTHS[options.widths]).to(device)
    log_line(f"{sum(p.numel() for p in network.parameters())} parameters, batches of {counts}")
    torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = True
    layout = fastest(network, batches)
    trainer = Trainer(network.to(memory_format=layout), options.rate)
    train(trainer, batches, exact, held_out_faces, layout, options)


def train(trainer, batches, exact, held_out_faces, layout, options):
    """Trains until time runs out: first on `batches`, then only on the `exact` ones."""
    begun, end = seconds(), options.seconds - RESERVE
    log = options.output / "log.csv"
    log.write_text(",".join(COLUMNS) + "\n")
    total, counted, measured = 0.0, 0, begun
    while True:
        fraction = min(1.0, (seconds() - begun) / max(end - begun, 1e-3))
        warm = min(1.0, (trainer.steps + 1) / 300)
        rate = options.rate * warm * (0.5 + 0.5 * math.cos(math.pi * fraction)) + 1e-6
        batch = (batches if fraction < WHOLE_ONLY else exact).next()
        total = total + trainer.step(batch, rate, layout)
        counted += 1
        if trainer.steps % 16 == 0:
            # The device runs asynchronously: wait for it before reading the clock.
            total.item()
        last = seconds() >= end
        if last or seconds() - measured >= options.every:
            loss, total, counted = float(total) / counted, 0.0, 0
            one, two = np.percentile(errors(trainer.average, held_out_faces), [50, 95], axis=1).T
            row = [trainer.steps, f"{seconds():.1f}", f"{rate:.2e}", f"{loss:.4f}"]
            row += [f"{value:.4f}" for value in (*one, *two)]
            with log.open("a") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
            print(" ".join(map(str, row)), flush=True)
            note = f"seed {options.seed}, {trainer.steps} steps of {options.batch}"
            try:
                write(trainer.average, options.output, note)
            except Exception:
                # A failed write must not end the run.
                traceback.print_exc()
            measured = seconds()
        if last:
            return


if __name__ == "__main__":
    main()
