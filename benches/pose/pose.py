"""Median quality by yaw: the table in docs/quality.md.

    attn-fiqa score FACES.tar --aligned --output scores.csv
    python benches/pose/pose.py scores.csv FACES.tar YUNET.onnx [LABELS.csv COLUMN]

With labels (columns `name` and COLUMN), also prints the fraction below quality 40 by group, as measured
and as it would be if the yaws of every group were distributed like those of all faces.

Yaw is estimated from YuNet's landmarks on each aligned face, as `attn-fiqa` does from its own:
the offset of the nose from the midpoint of the eyes, divided by half the inter-eye distance. Needs
NumPy and OpenCV.
"""

import csv
import sys
import tarfile

import cv2
import numpy as np

QUALITY_THRESHOLD = 40


def yaw_of(detector, face):
    """Absolute yaw in degrees; NaN where no face is found."""
    larger = cv2.copyMakeBorder(cv2.resize(face, (160, 160)), 32, 32, 32, 32, cv2.BORDER_REPLICATE)
    _, found = detector.detect(larger)
    if found is None:
        return np.nan
    left, right, nose = found[np.argmax(found[:, 14])][4:10].reshape(3, 2)
    eyes = right - left
    distance = np.hypot(*eyes)
    along = (nose - (left + right) / 2) @ eyes / distance
    return abs(np.degrees(np.arctan2(along, distance / 2)))


def print_groups(file, column, names, yaws, qualities):
    """Direct standardisation by yaw in 15° steps; faces without landmarks are a separate step."""
    with open(file, newline="") as stream:
        label = {row["name"].rsplit(".", 1)[0]: row[column] for row in csv.DictReader(stream)}
    groups = np.array([label[name.rsplit(".", 1)[0]] for name in names])
    steps = np.where(np.isnan(yaws), -1, yaws // 15).astype(int)
    low = qualities < QUALITY_THRESHOLD
    print(
        f"\ngroup: faces, fraction below {QUALITY_THRESHOLD}, the same at the yaws of all faces, above 60° or no landmarks"
    )
    for group in np.unique(groups):
        here = groups == group
        standard = sum(
            (steps == step).mean() * low[here & (steps == step)].mean()
            for step in np.unique(steps)
            if (here & (steps == step)).any()
        )
        turned = ((steps < 0) | (steps >= 4))[here].mean()
        fractions = (f"{100 * value:.2f} %" for value in (low[here].mean(), standard, turned))
        print(f"{group}: {here.sum()}, {', '.join(fractions)}")


def main():
    scores, faces, model, *labels = sys.argv[1:]
    detector = cv2.FaceDetectorYN.create(model, "", (224, 224), 0.5)
    with open(scores, newline="") as file:
        quality = {row["path"].rsplit("/", 1)[-1]: int(row["quality"]) for row in csv.DictReader(file)}
    names, yaws, qualities = [], [], []
    with tarfile.open(faces) as archive:
        for member in archive:
            name = member.name.rsplit("/", 1)[-1]
            if member.isfile() and quality.get(name, -1) >= 0:
                encoded = np.frombuffer(archive.extractfile(member).read(), np.uint8)
                yaws.append(yaw_of(detector, cv2.imdecode(encoded, cv2.IMREAD_COLOR)))
                qualities.append(quality[name])
                names.append(name)
    yaws, qualities = np.array(yaws), np.array(qualities)
    print(f"{len(yaws)} faces, {np.isnan(yaws).sum()} without landmarks")
    for start in range(0, 75, 15):
        within = qualities[(yaws >= start) & (yaws < start + 15)]
        median = f"{np.median(within):g}" if len(within) else "-"
        print(f"{start}-{start + 15} degrees: median quality {median} of {len(within)} faces")
    if labels:
        file, column = labels
        print_groups(file, column, names, yaws, qualities)


if __name__ == "__main__":
    main()
