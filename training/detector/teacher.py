"""The source pictures and what the teacher sees in them.

Writes into a cache folder `pictures.npy` (u8 RGB `[N, 224, 224, 3]`) and
`faces.npz`: for every face `picture` (row), `certain` (0 or 1) and `face`
(`score, x, y, w, h, ten landmarks`, as in decode.py).

The teacher looks at every picture at several sizes, plain and mirrored, with a
black margin so that a face that fills the picture is not at the network's border.
What it says about one face is averaged over these views, weighted by score, which
is less noisy than any one of them. A face that most views see is certain. What
only some see is uncertain: neither a face nor background to learn from.
"""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from decode import Detector, iou

SIDE = 224
VIEWS = [(side, mirrored) for side in (96, 128, 176, 224) for mirrored in (False, True)]
SUSPECTED = 0.3
CERTAIN_MEAN = 0.62
# Mirroring exchanges the eyes and the corners of the mouth.
MIRRORED = [1, 0, 2, 4, 3]


def mirror(faces, width):
    """Faces `[n, 15]` as they lie in the mirrored picture."""
    faces = faces.copy()
    faces[:, 1] = width - faces[:, 1] - faces[:, 3]
    points = faces[:, 5:].reshape(-1, 5, 2)[:, MIRRORED].copy()
    points[..., 0] = width - points[..., 0]
    faces[:, 5:] = points.reshape(-1, 10)
    return faces


def look(teacher, picture, side, mirrored):
    """Faces of one view in the coordinates of `picture`."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    if mirrored:
        small = small[:, ::-1]
    margin = side // 4
    wide = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    faces = teacher.detect(wide, SUSPECTED, 0.45, merge=True)
    faces[:, 1:3] -= margin
    faces[:, 5:] -= margin
    if mirrored:
        faces = mirror(faces, side)
    faces[:, 1:] *= SIDE / side
    return faces


def agree(views):
    """One list of faces from the lists of all views; score is the mean over views."""
    rest = np.concatenate(views)
    rest = rest[np.argsort(-rest[:, 0], kind="stable")]
    faces = []
    while len(rest):
        same = iou(rest[0, 1:5], rest[:, 1:5]) > 0.4
        same[0] = True
        group = rest[same]
        weight = group[:, :1] ** 2
        face = (group * weight).sum(0) / weight.sum()
        face[0] = min(1.0, group[:, 0].sum() / len(views))
        faces.append(face)
        rest = rest[~same]
    return np.array(faces, np.float32).reshape(-1, 15)


def label(archive, model, cache):
    """Decode the archive, ask the teacher, write the cache. Returns nothing."""
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    if (cache / "faces.npz").exists():
        return
    teacher = Detector(model, bgr=True)
    pictures, names, owner, faces = [], [], [], []
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile():
                continue
            picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            picture = np.asarray(picture)
            if picture.shape != (SIDE, SIDE, 3):
                raise ValueError(f"{member.name}: expected {SIDE}x{SIDE}, found {picture.shape}")
            found = agree([look(teacher, picture, *view) for view in VIEWS])
            owner += [len(pictures)] * len(found)
            faces.append(found)
            pictures.append(picture)
            names.append(member.name)
            if len(pictures) % 1000 == 0:
                print(f"teacher: {len(pictures)} pictures, {len(owner)} faces", flush=True)
    faces = np.concatenate(faces)
    np.save(cache / "pictures.npy", np.stack(pictures))
    np.savez(
        cache / "faces.npz",
        names=np.array(names),
        picture=np.array(owner, np.int32),
        face=faces,
        certain=faces[:, 0] >= CERTAIN_MEAN,
    )
