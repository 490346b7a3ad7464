"""Makes the example faces: one aligned face and seven kinds of degradation.

    python make_faces.py            write the images into faces/
    python make_faces.py --check    compare the files with the expected pixels, write nothing

Everything is computed from astronaut.png. The library versions in requirements.txt
give the same pixels every time.
"""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent
HERE = EXAMPLES / "faces"
SOURCE = EXAMPLES / "astronaut.png"

SIDE = 112
SEED = 20260422

# Where the eyes, the tip of the nose and the corners of the mouth are in
# astronaut.png, in pixels (x, y), image left to right. Found with the YuNet face
# detector (OpenCV Zoo) on the whole image through cv2.FaceDetectorYN of
# OpenCV 5.0, and stored here so that the detector is not needed.
LANDMARKS = np.array(
    [
        [203.3511, 103.6209],
        [247.5210, 104.4478],
        [224.1040, 127.6888],
        [203.9623, 143.1375],
        [242.9132, 143.6719],
    ]
)

# The same five points in a crop of 112×112 pixels, as in the training data of the
# networks (the ArcFace template).
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)

# Five strengths each, from barely visible to unusable.
BLUR_SIGMA = [0.6, 1.3, 2.5, 4.5, 8.0]  # of the Gaussian, in pixels
DOWNSAMPLE_SIDE = [64, 40, 24, 14, 8]  # pixels per side
DARK_GAIN = [0.8, 0.4, 0.15, 0.05, 0.015]  # fraction of the light
DARK_READ_NOISE = 1.5  # of the sensor, in grey levels
NOISE_SIGMA = [8, 20, 40, 80, 160]  # in grey levels of 255
JPEG_QUALITY = [60, 25, 12, 5, 1]  # libjpeg's scale
OCCLUDE_SHARE = [0.1, 0.25, 0.4, 0.6, 0.85]  # of the height, from the chin up
OCCLUDE_COLOR = [70, 82, 96]  # of a scarf
TURN_DEGREES = [4, 10, 18, 35, 90]  # clockwise, about the middle of the crop


def similarity(source, target):
    """The rotation, uniform scale and shift that bring `source` nearest to `target`.

    Least squares over the points (Umeyama 1991). Both are [points, 2]; the result
    is the [2, 3] matrix of x' = A x + b.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_rest, target_rest = source - source_mean, target - target_mean
    covariance = target_rest.T @ source_rest / len(source)
    u, strength, vt = np.linalg.svd(covariance)
    # A mirror image may fit better, but a face must not be mirrored.
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (strength * sign).sum() / source_rest.var(axis=0).sum()
    matrix = scale * rotation
    return np.column_stack([matrix, target_mean - matrix @ source_mean])


def rotation_about_middle(degrees):
    """The [2, 3] matrix that rotates a crop clockwise about its middle."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (SIDE - 1) / 2)
    return np.column_stack([turn, middle - turn @ middle])


def compose(second, first):
    """The [2, 3] matrix of `first`, then `second`."""
    square = [np.vstack([matrix, [0, 0, 1]]) for matrix in (second, first)]
    return (square[0] @ square[1])[:2]


def crop(picture, matrix):
    """The 112×112 crop of the image by `matrix`: bilinear, black outside."""
    y, x = np.mgrid[:SIDE, :SIDE]
    inverse = np.linalg.inv(matrix[:, :2])
    places = (np.stack([x, y], axis=-1) - matrix[:, 2]) @ inverse.T
    corner = np.floor(places).astype(int)
    share = places - corner
    height, width = picture.shape[:2]
    result = np.zeros((SIDE, SIDE, 3))
    for step_y in (0, 1):
        for step_x in (0, 1):
            at_x, at_y = corner[..., 0] + step_x, corner[..., 1] + step_y
            weight = np.where(step_x, share[..., 0], 1 - share[..., 0])
            weight = weight * np.where(step_y, share[..., 1], 1 - share[..., 1])
            weight = weight * ((at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < height))
            pixels = picture[at_y.clip(0, height - 1), at_x.clip(0, width - 1)]
            result += weight[..., None] * pixels
    return to_bytes(result)


def to_bytes(values):
    return np.rint(values).clip(0, 255).astype(np.uint8)


def blur(face, sigma):
    """A Gaussian, truncated at four sigma, with edge padding."""
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    values = np.pad(face.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    for axis in (0, 1):
        values = np.apply_along_axis(np.convolve, axis, values, kernel, mode="valid")
    return to_bytes(values)


def downsample(face, side):
    """The means of `side`×`side` areas, enlarged again bilinearly."""
    small = Image.fromarray(face).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def dark(face, gain):
    """Less light on the same sensor: read noise and quantization stay the same."""
    random = np.random.default_rng(SEED)
    return to_bytes(face * gain + random.normal(0, DARK_READ_NOISE, face.shape))


def noise(face, sigma):
    """Gaussian noise, the same pattern at every strength."""
    random = np.random.default_rng(SEED)
    return to_bytes(face + random.normal(0, 1, face.shape) * sigma)


def occlude(face, share):
    """Covers the face from the chin up."""
    covered = face.copy()
    covered[SIDE - round(share * SIDE) :] = OCCLUDE_COLOR
    return covered


def encoded(face, kind, **options):
    file = io.BytesIO()
    Image.fromarray(face).save(file, kind, **options)
    return file.getvalue()


def example_files():
    """Yields the name and the bytes of every file."""
    source = np.asarray(Image.open(SOURCE).convert("RGB"))
    align = similarity(LANDMARKS, TEMPLATE)
    face = crop(source, align)

    def png(pixels):
        return encoded(pixels, "PNG", optimize=True)

    yield "astronaut.png", png(face)
    changes: list[tuple[str, Callable, Sequence[float]]] = [
        ("blur", blur, BLUR_SIGMA),
        ("downsample", downsample, DOWNSAMPLE_SIDE),
        ("dark", dark, DARK_GAIN),
        ("noise", noise, NOISE_SIGMA),
        ("occlude", occlude, OCCLUDE_SHARE),
    ]
    for name, change, strengths in changes:
        for number, strength in enumerate(strengths, start=1):
            yield f"{name}-{number}.png", png(change(face, strength))
    for number, quality in enumerate(JPEG_QUALITY, start=1):
        yield f"jpeg-{number}.jpg", encoded(face, "JPEG", quality=quality)
    for number, degrees in enumerate(TURN_DEGREES, start=1):
        # Cropped from the source, so that the corners are not black.
        turned = crop(source, compose(rotation_about_middle(degrees), align))
        yield f"turn-{number}.png", png(turned)


def same_pixels(path, expected):
    if not path.is_file():
        return False
    found = np.asarray(Image.open(path))
    return np.array_equal(found, np.asarray(Image.open(io.BytesIO(expected))))


def main():
    arguments = argparse.ArgumentParser(description="makes the example faces")
    arguments.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = arguments.parse_args().check
    differing = []
    for name, contents in example_files():
        if not check:
            (HERE / name).write_bytes(contents)
        elif not same_pixels(HERE / name, contents):
            differing.append(name)
    if differing:
        sys.exit("missing or different: " + ", ".join(differing))


if __name__ == "__main__":
    main()
