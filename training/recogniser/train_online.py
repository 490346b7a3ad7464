"""The same training entirely on a GPU: faces are made, degraded and assessed by the
teacher during training, so that no image is used twice.

One command with a time limit; see README.md. The model is written with every line of
the log, so that an interrupted run still leaves a model.
"""

import argparse
import csv
import math
import time
from pathlib import Path

import augment
import export
import hints
import numpy as np
import torch
import validation
from batches import YAWED, pool, split
from embedded import cached
from faces import decoded
from losses import NAMES, AuxiliaryHeads, losses
from mosaics import unpacked
from network import SIZES, Recogniser
from optimizers import optimizers, set_rates, take_step
from options import add_options
from recognition import Recognition
from sface import Sface
from space import Space
from starting import fit_hint_layer, fit_score_scale, measure_batch_norms
from validation import autocast

COLUMNS = ["step", "images", "seconds", "lr", *NAMES, *validation.COLUMNS]
MISALIGNED, UNTOUCHED = 0.25, 0.1


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument(
        "--faces",
        type=Path,
        default=Path("../shared/data/fairface-aligned-112.tar"),
        help="tar of aligned faces, or a folder of mosaics (mosaics.py)",
    )
    p.add_argument("--teacher", type=Path, default=Path("../shared/data/models/sface-2021dec.onnx"))
    p.add_argument("--work", type=Path, required=True, help="folder for caches")
    p.add_argument("--size", choices=SIZES, default="attn-fiqa-t")
    add_options(p)
    p.add_argument("--limit-faces", type=int, help="use the first faces only")
    p.add_argument("--seconds", type=float, required=True, help="time limit of the run")
    p.add_argument("--fresh", type=int, default=640, help="fresh images per step")
    p.add_argument("--judged", type=int, default=384, help="images per step that the teacher assesses")
    p.add_argument(
        "--damage", type=float, default=0.15, help="fraction of the fresh images that are degraded"
    )
    p.add_argument("--decay", type=float, default=0.5)
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument("--held", type=int, default=2600, help="held-out degraded faces")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--every", type=float, default=40, help="seconds between lines of the log")
    p.add_argument("--compile", action="store_true", help="compile the network first")
    p.add_argument("--output", type=Path, required=True, help="safetensors to write")
    p.add_argument("--log", type=Path, required=True, help="CSV to write")
    args = p.parse_args()
    # Assessed images are made from the faces whose fresh image is not degraded.
    most = args.fresh - int(args.fresh * args.damage)
    if args.judged > most:
        p.error(f"--judged {args.judged}: at most {most} with --fresh {args.fresh} --damage {args.damage}")
    return args


class OnlineBatches:
    """Makes batches from the training faces, all on the device."""

    def __init__(self, faces, rows, teacher, space, recognition, device, args):
        images = torch.from_numpy(np.ascontiguousarray(faces[rows]))
        self.faces = images.permute(0, 3, 1, 2).contiguous().to(device)
        self.teacher, self.recognition, self.args = teacher, recognition, args
        self.mean = torch.from_numpy(space.mean).float().to(device)
        self.matrix = torch.from_numpy(space.matrix).float().to(device)
        some = self.faces[torch.randperm(len(self.faces), device=device)[:2048]]
        maps = torch.cat([teacher(part.float())[1] for part in some.split(256)])
        mean, vectors = hints.directions(maps.cpu().numpy())
        self.hint_mean, self.hint_vectors = (torch.from_numpy(v).to(device) for v in (mean, vectors))

    def some(self, count):
        return self.faces[torch.randint(len(self.faces), (count,), device=self.faces.device)].float()

    @torch.no_grad()
    def batch(self):
        args, normalised = self.args, torch.nn.functional.normalize
        fresh, judged = args.fresh, args.judged
        clean = augment.new_faces(self.some(fresh), self.some(fresh))
        embedding, maps = self.teacher(clean)
        centred = embedding - self.mean
        target = normalised(centred @ self.matrix)
        seen = (maps.flatten(2).transpose(1, 2) - self.hint_mean) @ self.hint_vectors
        ways = augment.jitter(clean)
        shown = augment.relit(augment.moved(clean, ways))
        hurt = int(fresh * args.damage)
        # Weak degradations more often than strong ones.
        strength = augment.uniform(clean[:hurt]) * augment.uniform(clean[:hurt]).sqrt()
        shown = torch.cat([augment.damaged(shown[:hurt], strength)[0], shown[hurt:]])

        # From the end of the batch: faces whose fresh image is not degraded.
        source = augment.relit(clean[-judged:])
        wrong, turned, left = (int(judged * part) for part in (MISALIGNED, YAWED, UNTOUCHED))
        kinds = source.split([wrong, turned, judged - wrong - turned - left, left])
        damaged, hidden = augment.damaged(kinds[2], augment.uniform(kinds[2]))
        images = torch.cat(
            [
                augment.misaligned(kinds[0], augment.uniform(kinds[0])),
                augment.yaw(kinds[1], augment.uniform(kinds[1])),
                damaged,
                kinds[3],
            ]
        )
        none = torch.zeros_like(images[:, 0])
        masks = torch.cat([none[: wrong + turned], hidden, none[:left]])
        # Shifted before the teacher embeds them, so that utility belongs to the image shown.
        small = augment.jitter(images, 0.4)
        # The border mode depends on the position in the batch.
        order = torch.randperm(judged, device=images.device)
        images, masks = images[order], masks[order]
        moved = augment.moved(torch.cat([images, masks[:, None] * 255], 1), small)
        images, masks = moved[:, :3], moved[:, 3] / 255
        assessed = self.teacher(images)[0]
        utility = (normalised(assessed - self.mean) * normalised(centred[-judged:][order])).sum(1)
        if self.recognition is None:
            # The distance from the clean face is known only for assessed images.
            quality = torch.cat([torch.full_like(shown[:, 0, 0, 0], torch.nan), utility])
        else:
            quality = self.recognition(torch.cat([self.teacher(shown)[0], assessed]))
        side = math.isqrt(seen.shape[1])
        return {
            "images": torch.cat([shown, images]).round() / 127.5 - 1,
            "targets": torch.cat([target, target[-judged:][order]]),
            "strangers": target,
            "hints": seen.transpose(1, 2).reshape(fresh, -1, side, side),
            "ways": ways,
            "utility": utility,
            "quality": quality,
            "masks": masks,
        }


def compiled(net, verdict, shown, device, log_line):
    """The network, compiled if possible; a failed compilation must not end the run."""
    try:
        faster = torch.compile(net, dynamic=False)
        loss, _ = losses(faster, verdict, shown.batch(), autocast(device))
        loss.backward()
        log_line("compiled")
    except Exception as error:
        log_line(f"not compiled: {error}")
        faster = net
    net.zero_grad(set_to_none=True)
    verdict.zero_grad(set_to_none=True)
    return faster


def main():
    args = arguments()
    began = time.monotonic()
    log_line = lambda text: print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    args.work.mkdir(parents=True, exist_ok=True)

    faces = unpacked(args.faces) if args.faces.is_dir() else decoded(args.faces, args.work)[0]
    faces = faces[: args.limit_faces]
    log_line(f"{len(faces)} faces")
    teacher = Sface(args.teacher, device)
    # Pixels of mosaics differ from those of the tar, so their caches are separate.
    tag = f"{args.faces.stem}-{'all' if args.limit_faces is None else args.limit_faces}"
    clean = cached(args.work / f"online-teacher-{tag}.npy", teacher, faces)
    rows, held_rows = split(len(faces), args.seed)
    space = Space(clean[rows])
    targets = space(clean)
    held = pool(
        faces,
        held_rows,
        clean,
        space.mean,
        args.held,
        args.seed + 1,
        f"online-held-{tag}",
        teacher,
        args.work,
    )
    recognition = None
    if args.target == "recognition":
        recognition = Recognition.of(clean[rows], held.embeddings, clean[held.face])
        held.follow(recognition)
        log_line(str(recognition))
    held_faces, held_targets = faces[held_rows], targets[held_rows]
    # From here on, shapes are constant.
    torch.backends.cudnn.benchmark = True
    shown = OnlineBatches(faces, rows, teacher, space, recognition, device, args)
    log_line("teacher's verdicts")

    net = Recogniser(SIZES[args.size]).to(device)
    verdict = AuxiliaryHeads(net.shape.dim).to(device)
    if args.start:
        export.read(net, *args.start)
        measure_batch_norms(net, held, device)
        fit_hint_layer(verdict, net, shown.batch())
        fit_score_scale(verdict, net, held, device)
    else:
        with torch.no_grad():
            # Scores of an untrained network are about 0: start at the mean of their target.
            verdict.offset.fill_(float(held.quality.mean()))
    descent = optimizers(net, verdict, args.lr)
    net.train()
    learning = compiled(net, verdict, shown, device, log_line) if args.compile else net
    log = args.log.open("w", newline="")
    writer = csv.writer(log)
    writer.writerow(COLUMNS)
    step, rate, since = 0, 0.0, 0
    sums = torch.zeros(len(NAMES), device=device)
    start = time.monotonic()
    reported = start

    def record():
        means = (sums / max(since, 1)).cpu().numpy()
        values = [*means, *validation.validate(net, held, held_faces, targets, held_targets, device)]
        images = step * (args.fresh + args.judged)
        row = [step, images, round(time.monotonic() - start), f"{rate:.2e}", *(f"{v:.4f}" for v in values)]
        writer.writerow(row)
        log.flush()
        log_line(" ".join(map(str, row)))
        export.write(net.eval(), args.output)
        net.train()

    net.train()
    while True:
        # The limit includes the preparation before the first step.
        done = (time.monotonic() - began) / args.seconds
        rate = set_rates(descent, args.lr, done, args.decay)
        loss, values = losses(learning, verdict, shown.batch(), autocast(device))
        loss.backward()
        take_step(descent, net)
        sums += values
        step, since = step + 1, since + 1
        if device.type == "cuda" and step % 8 == 0:
            # Do not run ahead of the device: the time limit applies to it.
            torch.cuda.synchronize()
        if step in (1, 10, 50, 200):
            log_line(f"step {step}, loss {loss.item():.3f}")
        if done >= 1:
            break
        if time.monotonic() - reported > args.every:
            record()
            reported, since = time.monotonic(), 0
            sums.zero_()
    record()


if __name__ == "__main__":
    main()
