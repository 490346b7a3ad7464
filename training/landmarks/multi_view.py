"""A detector's output for one face, combined over many views.

The teacher's landmarks depend on the rotation of a face and differ between a face and its
mirror image by a few percent of the inter-eye distance. Therefore the result is the median over
views with the face upright in the middle, at several sizes, plain and mirrored.
"""

import io
import tarfile

import cv2
import numpy as np
from decode import iou
from PIL import Image

SIDE = 224
VIEWS = [(side, mirrored) for side in (96, 128, 176, 224) for mirrored in (False, True)]
SCORE_THRESHOLD = 0.3
# Mirroring swaps the eyes and the mouth corners.
MIRRORED = [1, 0, 2, 4, 3]
# Face size in pixels and rotation in degrees of the upright views; each is also mirrored.
FIRST_UPRIGHT = [(110, 0)]
UPRIGHT = [(75, 4), (100, -4), (130, 4), (165, -4)]
STAGE = 256


def mirror(faces, width):
    """Faces `[n, 15]` in the mirrored image."""
    faces = faces.copy()
    faces[:, 1] = width - faces[:, 1] - faces[:, 3]
    points = faces[:, 5:].reshape(-1, 5, 2)[:, MIRRORED].copy()
    points[..., 0] = width - points[..., 0]
    faces[:, 5:] = points.reshape(-1, 10)
    return faces


def detect_in_view(teacher, image, side, mirrored):
    """Faces from one view, in the coordinates of `image`."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    if mirrored:
        small = small[:, ::-1]
    margin = side // 4
    wide = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    faces = teacher.detect(wide, SCORE_THRESHOLD, 0.45, merge=True)
    faces[:, 1:3] -= margin
    faces[:, 5:] -= margin
    if mirrored:
        faces = mirror(faces, side)
    faces[:, 1:] *= SIDE / side
    return faces


def merged(views):
    """Merges the faces of all views into one list; the score is the mean over views."""
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


def upright_view(teacher, image, face, size, turn, mirrored):
    """Landmarks `[5, 2]` of a face from a separate upright view, or None."""
    points = face[5:].reshape(5, 2)
    down = points[3:].mean(0) - points[:2].mean(0)
    angle = np.arctan2(-down[0], down[1]) - np.deg2rad(turn)
    scale = size / np.sqrt(face[3] * face[4])
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = face[1:3] + face[3:5] / 2
    linear = scale * turned
    shift = STAGE / 2 - linear @ centre
    if scale < 0.8:
        image = cv2.GaussianBlur(image, (0, 0), 0.45 / scale)
    matrix = np.concatenate([linear, (shift + linear @ [0.5, 0.5] - 0.5)[:, None]], 1)
    view = cv2.warpAffine(image, matrix, (STAGE, STAGE))
    if mirrored:
        view = np.ascontiguousarray(view[:, ::-1])
    found = teacher.detect(view, SCORE_THRESHOLD, 0.45, merge=True)
    if mirrored:
        found = mirror(found, STAGE)
    if len(found) == 0:
        return None
    away = np.abs(found[:, 1:3] + found[:, 3:5] / 2 - STAGE / 2).max(1)
    best = np.argmin(away)
    if away[best] > 0.3 * size:
        return None
    return (found[best, 5:].reshape(5, 2) - shift) @ np.linalg.inv(linear).T


def refine(teacher, image, face):
    """The face with the consensus of the landmarks from its upright views."""
    for views in (FIRST_UPRIGHT, UPRIGHT):
        seen = [upright_view(teacher, image, face, *v, m) for v in views for m in (False, True)]
        seen = [points for points in seen if points is not None]
        if len(seen) * 2 <= len(views):
            return face
        face = face.copy()
        face[5:] = np.median(seen, 0).ravel()
    return face


def lfw(archive):
    """`(name, image)` of every image in a tar archive."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                data = tar.extractfile(member).read()
                yield member.name, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def central(faces, image):
    """The detected face nearest to the middle of the image, or None."""
    if len(faces) == 0:
        return None
    middle = np.array(image.shape[1::-1]) / 2
    centre = faces[:, 1:3] + faces[:, 3:5] / 2
    return faces[np.argmin(np.linalg.norm(centre - middle, axis=1))]


def averaged(teacher, image):
    """The median of the teacher's central face over sizes and mirror images, or None."""
    views = []
    height, width = image.shape[:2]
    for factor in (0.64, 0.8, 1.0, 1.25):
        size = (round(width * factor), round(height * factor))
        view = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
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
