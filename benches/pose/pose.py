"""Median quality by yaw: the table in docs/quality.md.

    attn-fiqa score FACES.tar --aligned --output scores.csv
    python benches/pose/pose.py scores.csv FACES.tar YUNET.onnx

Yaw is estimated from YuNet's landmarks on each aligned face, as `attn-fiqa` does from its own:
the offset of the nose from the middle of the eyes, over half the inter-eye distance. Needs
NumPy and OpenCV.
"""

import csv
import sys
import tarfile

import cv2
import numpy as np


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


def main():
    scores, faces, model = sys.argv[1:]
    detector = cv2.FaceDetectorYN.create(model, "", (224, 224), 0.5)
    with open(scores, newline="") as file:
        quality = {row["path"].rsplit("/", 1)[-1]: int(row["quality"]) for row in csv.DictReader(file)}
    yaws, qualities = [], []
    with tarfile.open(faces) as archive:
        for member in archive:
            name = member.name.rsplit("/", 1)[-1]
            if member.isfile() and quality.get(name, -1) >= 0:
                encoded = np.frombuffer(archive.extractfile(member).read(), np.uint8)
                yaws.append(yaw_of(detector, cv2.imdecode(encoded, cv2.IMREAD_COLOR)))
                qualities.append(quality[name])
    yaws, qualities = np.array(yaws), np.array(qualities)
    print(f"{len(yaws)} faces, {np.isnan(yaws).sum()} without landmarks")
    for start in range(0, 75, 15):
        within = qualities[(yaws >= start) & (yaws < start + 15)]
        median = f"{np.median(within):g}" if len(within) else "-"
        print(f"{start}-{start + 15} degrees: median quality {median} of {len(within)} faces")


if __name__ == "__main__":
    main()
