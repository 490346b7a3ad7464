"""Checks on a few images that the batched code agrees with the code for one face.

Prints one line per check and fails at the first deviation.
"""

import argparse
from pathlib import Path

import cv2
import labels
import numpy as np
import torch
from batch_labels import label
from batches import Batches, Set
from decode import Detector
from degradations import Degrader
from geometry import VIEW, warp
from images import Images, read
from jpeg import Jpeg
from multi_view import VIEWS, detect_in_view, merged, refine
from train import ROOT, loss_of
from yunet import Teacher


def within(name, value, limit):
    print(f"{name}: {value:.5f}, at most {limit}", flush=True)
    if not value <= limit:
        raise SystemExit(f"{name} deviates too much")


def check_views(images, held):
    rng, count = np.random.default_rng(1), len(images)
    turn, scale = rng.uniform(-0.6, 0.6, count), rng.uniform(0.35, 1.6, count)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).transpose(2, 0, 1)
    linear *= scale[:, None, None]
    middle = rng.uniform(80, 144, (count, 2, 1))
    matrices = np.concatenate([linear, VIEW / 2 - linear @ middle], 2)
    expected = np.stack([warp(p, m) for p, m in zip(images, matrices)]).astype(np.float32)
    rows = torch.arange(count, device=held.device)
    found = held.views(rows, torch.tensor(matrices, dtype=torch.float32, device=held.device), VIEW)
    away = np.abs(found.permute(0, 2, 3, 1).cpu().numpy() - expected)
    within("views, mean difference in levels", away.mean(), 0.5)
    # OpenCV rounds coordinates to 1/32 of a pixel.
    within("views, 99.9th percentile in levels", np.percentile(away, 99.9), 5.0)


def check_teacher(images, teacher, yunet):
    images = images[:3]
    bgr = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32)
    found = teacher.run(torch.from_numpy(bgr).to(teacher.device))
    expected = yunet.session.run(None, {yunet.input: bgr})
    away = max(np.abs(found[n].cpu().numpy() - e).max() for n, e in zip(yunet.names, expected))
    within("teacher, greatest difference of an output", away, 1e-3)


def check_labels(images, held, teacher, yunet):
    generator = torch.Generator(held.device).manual_seed(2)
    found = label(teacher, held, 24, np.inf, generator, "check")
    points = dict(zip(found["image"].tolist(), found["points"]))
    away = []
    for row, image in enumerate(images):
        faces = merged([detect_in_view(yunet, image, *view) for view in VIEWS])
        if row not in points or len(faces) == 0:
            continue
        middle = faces[:, 1:3] + faces[:, 3:5] / 2 - held.side / 2
        face = refine(yunet, image, faces[np.abs(middle).max(1).argmin()])
        mean = labels.average(yunet, image, face[5:].reshape(5, 2), face[1:5], np.random.default_rng(row))
        if mean is not None:
            eyes = np.linalg.norm(mean[0][1] - mean[0][0])
            away.append(np.linalg.norm(mean[0] - points[row], axis=1).mean() / eyes)
    print(f"labels: {len(points)} of {len(images)} faces, {len(away)} compared")
    within("labels, median difference as a fraction of the inter-eye distance", np.median(away), 0.02)


def check_degradations(held, generator):
    same = torch.eye(2, 3, device=held.device).repeat(4, 1, 1)
    views = held.views(torch.arange(4, device=held.device), same, VIEW).round()
    plain = views.permute(0, 2, 3, 1).cpu().numpy()
    for quality in (30, 80):
        ours = Jpeg(held.device)(views, torch.full((4,), float(quality), device=held.device))
        away = []
        for ours_of, view in zip(ours.permute(0, 2, 3, 1).cpu().numpy(), plain):
            bgr = np.ascontiguousarray(view[..., ::-1]).astype(np.uint8)
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            away.append(np.abs(ours_of - cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]).mean())
        within(f"JPEG at {quality}, mean difference in levels", np.mean(away), 2.0)
    degrader = Degrader(held.device, generator)
    rows = degrader.blurs.sum(2).sub(1).abs().max(), degrader.coarsenings.sum(2).sub(1).abs().max()
    within("maps of blurs and coarse pixels, sums of their rows", max(map(float, rows)), 1e-4)


def check_batches(held, found, generator, save):
    """Checks shapes and levels of a batch; `save` is an image file for its views and points."""
    everything = np.ones(len(found["image"]), bool)
    faces = Set.of(held, found, everything, bordered=True)
    degrader = Degrader(held.device, generator)
    views, points, weight = Batches([faces], [32], degrader, generator).next()
    assert views.shape == (32, 3, VIEW, VIEW) and points.shape == (32, 5, 2)
    within("batches, least and greatest level", float((views - 127.5).abs().max()), 127.5)
    within("batches, loss of the truth itself", float(loss_of(points, points, weight)), 1e-3)
    if save:
        images = views.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)[..., ::-1].repeat(3, 1).repeat(3, 2)
        images = np.ascontiguousarray(images)
        for image, five in zip(images, points.cpu().numpy()):
            for x, y in five:
                cv2.circle(image, (round(3 * x + 1), round(3 * y + 1)), 3, (0, 255, 0), -1)
        rows = images.reshape(4, 8, 3 * VIEW, 3 * VIEW, 3)
        cv2.imwrite(str(save), np.concatenate([np.concatenate(list(row), 1) for row in rows]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--archive", type=Path, default=shared / "fairface-original-224.tar")
    parser.add_argument("--teacher", type=Path, default=shared / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--image", type=Path, help="write an image of degraded views to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _, images = read(options.archive, options.count)
    held = Images(images, options.device)
    teacher, yunet = Teacher(options.teacher, options.device), Detector(options.teacher, bgr=True)
    generator = torch.Generator(options.device).manual_seed(3)
    check_views(images, held)
    check_teacher(images, teacher, yunet)
    check_degradations(held, generator)
    check_labels(images, held, teacher, yunet)
    found = label(teacher, held, 8, np.inf, generator, "check")
    check_batches(held, found, generator, options.image)


if __name__ == "__main__":
    main()
