"""Images for training and evaluating the detector, decoded once."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/data"
# One in this many photographs of class A is held out.
HELD_OUT = 10


def tar_images(archive, wanted=None):
    """`(name, [H, W, 3] u8)` of every image in a tar archive, or only of the wanted ones."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and (wanted is None or member.name in wanted):
                data = tar.extractfile(member).read()
                yield member.name, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def scene_rows(path=SHARED / "scenes.csv"):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def scene_names(classes, held_out=None):
    """Names of the scenes with these classes of terms of use.

    Scenes cropped from one photograph stay in one subset: every tenth photograph of class A
    is held out. `held_out` chooses the subset; None takes both.
    """
    names, photographs = [], {}
    for row in scene_rows():
        if row["terms_class"] in classes:
            photograph = row["source"] + row["path"].split("#")[0]
            number = photographs.setdefault(photograph, len(photographs))
            if held_out is None or held_out == (number % HELD_OUT == 0):
                names.append(row["name"])
    return names


def scenes(classes, held_out=None, archive=SHARED / "scenes.tar"):
    return tar_images(archive, set(scene_names(classes, held_out)))


def without_faces():
    """Names of the scenes without a face."""
    return {row["name"] for row in scene_rows() if row["faces"] == "0"}
