"""Measures a detector against the truth of composed scenes and against YuNet."""

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

import backgrounds
from decode import Detector, iou, landmark_error
from scenes import Source, compose

ROOT = Path(__file__).resolve().parents[2]
OVERLAP = 0.5


def composed_scenes(source, count, side, seed):
    """`count` seeded scenes of a split: `[(picture, faces, ignored boxes)]`."""
    return [compose(np.random.default_rng([seed, n]), side, side, source) for n in range(count)]


def match(found, faces):
    """Pairs `(found, face)` of most overlap first, each used once, IoU >= 0.5."""
    if len(found) == 0 or len(faces) == 0:
        return []
    table = np.stack([iou(face[:4], found[:, 1:5]) for face in faces], 1)
    pairs = []
    while table.max() >= OVERLAP:
        f, t = np.unravel_index(np.argmax(table), table.shape)
        pairs.append((int(f), int(t)))
        table[f], table[:, t] = -1, -1
    return pairs


def ignored(face, unknown):
    """Whether a found face lies on something that is neither face nor background."""
    if len(unknown) == 0:
        return False
    centre = face[1:3] + face[3:5] / 2
    held = (centre >= unknown[:, :2]).all(1) & (centre <= unknown[:, :2] + unknown[:, 2:]).all(1)
    return bool(held.any() or iou(face[1:5], unknown).max() > 0.3)


def compare(detector, scenes, threshold, merge=False):
    """Recall, precision and landmark errors over scenes with a known truth."""
    right = total = wrong = 0
    errors, sizes, hit = [], [], []
    for picture, faces, unknown in scenes:
        found = detector.detect(picture, threshold, merge=merge)
        pairs = match(found, faces)
        matched = {f for f, _ in pairs}
        right += len(pairs)
        total += len(faces)
        wrong += sum(not ignored(found[f], unknown) for f in range(len(found)) if f not in matched)
        errors += [landmark_error(found[f], np.concatenate([[1], faces[t]])) for f, t in pairs]
        known = {t for _, t in pairs}
        for index, face in enumerate(faces):
            sizes.append(float(np.sqrt(face[2] * face[3])))
            hit.append(index in known)
    errors = errors or [np.nan]
    return {
        "recall": right / max(total, 1),
        "precision": right / max(right + wrong, 1),
        "points_p50": float(np.percentile(errors, 50)),
        "points_p95": float(np.percentile(errors, 95)),
        "faces": total,
        "wrong": wrong,
        "sizes": np.array(sizes),
        "hit": np.array(hit, bool),
    }


def lfw(archive):
    """`(name, picture)` of every picture of a tar archive."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                data = tar.extractfile(member).read()
                yield member.name, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def central(faces, picture):
    """The found face nearest to the middle of the picture, or None."""
    if len(faces) == 0:
        return None
    middle = np.array(picture.shape[1::-1]) / 2
    centre = faces[:, 1:3] + faces[:, 3:5] / 2
    return faces[np.argmin(np.linalg.norm(centre - middle, axis=1))]


def averaged(teacher, picture):
    """The teacher's central face averaged over sizes and mirror images, or None."""
    from teacher import mirror
    import cv2

    views = []
    height, width = picture.shape[:2]
    for factor in (0.64, 0.8, 1.0, 1.25):
        size = (round(width * factor), round(height * factor))
        view = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        for mirrored in (False, True):
            faces = teacher.detect(np.ascontiguousarray(view[:, ::-1]) if mirrored else view, 0.5, merge=True)
            face = central(faces, view)
            if face is not None:
                face = mirror(face[None], size[0])[0] if mirrored else face.copy()
                face[1:] /= factor
                views.append(face)
    if len(views) < 5:
        return None
    return np.median(views, axis=0)


def evaluate_lfw(ours, yunet, archive, threshold, merge):
    """Misses and landmark errors on LFW, where YuNet's central face is the reference."""
    names = ["ours", "ours, against YuNet averaged over views", "YuNet, against the same", "YuNet, mirrored"]
    errors = {name: [] for name in names}
    missed, pictures, more, extra = [], 0, 0, 0
    for name, picture in lfw(archive):
        every = yunet.detect(picture, 0.6)
        reference = central(every, picture)
        if reference is None:
            continue
        pictures += 1
        found = ours.detect(picture, threshold, merge=merge)
        overlaps = iou(reference[1:5], found[:, 1:5]) if len(found) else np.zeros(0)
        more += len(every)
        extra += sum(len(every) == 0 or iou(face[1:5], every[:, 1:5]).max() < 0.3 for face in found)
        if len(found) == 0 or overlaps.max() < OVERLAP:
            missed.append(name)
            continue
        face = found[np.argmax(overlaps)]
        errors[names[0]].append(landmark_error(face, reference))
        mean = averaged(yunet, picture)
        if mean is not None and iou(mean[1:5], reference[None, 1:5])[0] > 0.3:
            errors[names[1]].append(landmark_error(face, mean))
            errors[names[2]].append(landmark_error(reference, mean))
        from teacher import mirror

        other = central(mirror(yunet.detect(np.ascontiguousarray(picture[:, ::-1]), 0.6), picture.shape[1]), picture)
        if other is not None:
            errors[names[3]].append(landmark_error(other, reference))
    print(f"LFW: {pictures} pictures with a YuNet face, missed {len(missed)} ({100 * len(missed) / pictures:.2f}%)")
    print(f"  missed: {', '.join(missed[:20])}")
    print(f"  YuNet sees {more} faces; ours where YuNet sees none: {extra}")
    for name, values in errors.items():
        values = np.array(values)
        print(
            f"  landmarks, {name}: median {100 * np.median(values):.2f}%, 95th percentile "
            f"{100 * np.percentile(values, 95):.2f}% of the eye distance, "
            f"within 4%: {100 * np.mean(values <= 0.04):.1f}% ({len(values)} faces)"
        )


def evaluate_scenes(detectors, scenes):
    for name, detector, threshold, merge in detectors:
        r = compare(detector, scenes, threshold, merge)
        print(
            f"scenes, {name}: recall {100 * r['recall']:.2f}%, precision {100 * r['precision']:.2f}%, "
            f"landmarks median {100 * r['points_p50']:.2f}%, 95th percentile {100 * r['points_p95']:.2f}% "
            f"({r['faces']} faces, {r['wrong']} false)"
        )
        edges = [0, 16, 24, 40, 64, 100, 160, 250, 1000]
        parts = []
        for low, high in zip(edges[:-1], edges[1:]):
            here = (r["sizes"] >= low) & (r["sizes"] < high)
            if here.any():
                parts.append(f"{low}-{high}: {100 * r['hit'][here].mean():.1f}% of {here.sum()}")
        print(f"  recall by size in pixels: {'; '.join(parts)}")


def evaluate_nothing(detectors, pictures, what):
    for name, detector, threshold, merge in detectors:
        counts = [len(detector.detect(picture, threshold, merge=merge)) for picture in pictures]
        print(f"{what}, {name}: {sum(counts)} false faces on {sum(c > 0 for c in counts)} of {len(counts)} pictures")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared/data"
    parser.add_argument("--model", default=ROOT / "models/detector.onnx")
    parser.add_argument("--teacher", default=shared / "models/yunet_n_dynamic.onnx")
    parser.add_argument("--lfw", default=shared / "lfw-original-250.tar")
    parser.add_argument("--work", type=Path, default=ROOT / "target/detector", help="cache of train.py")
    parser.add_argument("--threshold", type=float, default=0.6)
    parser.add_argument("--teacher-threshold", type=float, default=0.6)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--merge", action="store_true", help="average overlapping candidates")
    parser.add_argument("--negatives", type=Path, help="a folder of pictures without faces")
    options = parser.parse_args()

    ours = Detector(options.model)
    yunet = Detector(options.teacher, bgr=True)
    detectors = [
        ("ours", ours, options.threshold, options.merge),
        ("YuNet", yunet, options.teacher_threshold, False),
    ]
    evaluate_lfw(ours, yunet, options.lfw, options.threshold, options.merge)
    held_out = Source(options.work, "held-out")
    evaluate_scenes(detectors, composed_scenes(held_out, options.scenes, options.side, seed=501))
    rng = np.random.default_rng(502)
    empty = [backgrounds.background(rng, 320, 320, held_out) for _ in range(options.scenes)]
    evaluate_nothing(detectors, empty, "textures")
    if options.negatives:
        paths = sorted(p for p in options.negatives.iterdir() if p.suffix in (".png", ".jpg", ".jpeg"))
        pictures = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
        evaluate_nothing(detectors, pictures, str(options.negatives))


if __name__ == "__main__":
    main()
