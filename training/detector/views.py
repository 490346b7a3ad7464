"""Random square views of images, and their degradations.

The geometry of a view is the same for teacher and student. Degradations (blur, noise,
darkness, compression, occlusion) apply only to the student, which learns to find what the
teacher finds in the clean image.
"""

import cv2
import numpy as np

# Range of scale factors of a scene; unscaled, its faces have about 10 to 110 pixels.
SCENE_SCALE = (0.4, 2.2)
# Height ranges of a head-and-shoulders portrait in a mosaic, and of one shown alone.
MOSAIC, PORTRAIT = (24, 200), (160, 640)


def log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def scaled(image, factor):
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def window(rng, image, side):
    """A random window, black where the image is smaller."""
    height, width = image.shape[:2]
    y, x = (int(rng.integers(0, length - side + 1)) if length > side else 0 for length in (height, width))
    part = image[y : y + side, x : x + side]
    view = np.zeros((side, side, 3), np.uint8)
    view[: part.shape[0], : part.shape[1]] = part
    return view


def of_scene(rng, image, side):
    image = scaled(image, log_uniform(rng, *SCENE_SCALE))
    if rng.random() < 0.25:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 12), 1)
        image = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return window(rng, image, side)


def of_portraits(rng, pick, side):
    """One portrait, or a mosaic of many on a window of another image."""
    if rng.random() < 0.4:
        image = pick()
        return window(rng, scaled(image, log_uniform(rng, *PORTRAIT) / image.shape[0]), side)
    view = scaled(pick()[:64], side / 64)[:side, :side]
    view = cv2.copyMakeBorder(view, 0, side - view.shape[0], 0, side - view.shape[1], cv2.BORDER_REFLECT)
    height = log_uniform(rng, *MOSAIC)
    for _ in range(int(rng.integers(2, 9))):
        part = pick()
        part = scaled(part, height * rng.uniform(0.7, 1.4) / part.shape[0])[:side, :side]
        y, x = (int(rng.integers(0, side - length + 1)) for length in part.shape[:2])
        view[y : y + part.shape[0], x : x + part.shape[1]] = part
    return view


def coloured(rng, view):
    """Brightness, contrast, tint and grey, for teacher and student."""
    if rng.random() < 0.08:
        view = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.5:
        gain = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)
        view = np.clip(view * gain + rng.uniform(-20, 20), 0, 255).astype(np.uint8)
    return view


def degraded(rng, view, boxes):
    """The degraded view for the student; some of the faces `boxes` `[n, 4]` are partly occluded."""
    view = view.copy()
    for x, y, w, h in boxes:
        if rng.random() < 0.2:
            occlude(rng, view, x, y, w, h)
    if rng.random() < 0.15:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.12:
        view = np.clip(view * rng.uniform(0.3, 0.8), 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        view = np.clip(view + rng.normal(0, rng.uniform(2, 12), view.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, data = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        view = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return view


def occlude(rng, view, x, y, w, h):
    """A mask on the lower half, a bar over the eyes or a patch at the side, in one colour."""
    kind = rng.random()
    if kind < 0.5:
        y, h = y + h * rng.uniform(0.5, 0.65), h * 0.5
    elif kind < 0.75:
        y, h = y + h * rng.uniform(0.22, 0.3), h * rng.uniform(0.12, 0.2)
    else:
        x, w = x + w * rng.choice([-0.1, 0.7]), w * 0.4
    colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.full(3, rng.integers(0, 256))
    corners = np.array([[x, y], [x + w, y], [x + w * 0.85, y + h], [x + w * 0.15, y + h]]).round()
    cv2.fillConvexPoly(view, corners.astype(np.int32), [int(c) for c in colour], cv2.LINE_AA)
