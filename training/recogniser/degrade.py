"""Seeded degradations of a face, singly or combined, and misalignment."""

import cv2
import numpy as np
from yaw import MAX_YAW, origins

SIZE = 112


def blur(image, strength, random):
    sigma = 0.5 + 4.5 * strength
    return cv2.GaussianBlur(image, (0, 0), sigma), None


def motion(image, strength, random):
    length = 3 + int(round(20 * strength))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, random.uniform(0, 180), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-6)), None


def resolution(image, strength, random):
    small = max(8, int(round(SIZE * 0.09 ** (0.3 + 0.7 * strength))))
    down = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(down, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), None


def noise(image, strength, random):
    grain = random.normal(0, 5 + 75 * strength, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8), None


def jpeg(image, strength, random):
    quality = int(round(40 - 38 * strength))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR), None


def dark(image, strength, random):
    dimmed = image * (1 - 0.95 * strength)
    return np.clip(dimmed + random.normal(0, 4 * strength, image.shape), 0, 255).astype(np.uint8), None


def bright(image, strength, random):
    return np.clip(image * (1 + 4 * strength) + 60 * strength, 0, 255).astype(np.uint8), None


def occlusion(image, strength, random):
    """A plain or noisy box; the mask is 1 where the face is occluded."""
    area = (0.08 + 0.52 * strength) * SIZE * SIZE
    wide = min(SIZE, int(round(np.sqrt(area * random.uniform(0.6, 1.7)))))
    high = min(SIZE, int(round(area / wide)))
    x, y = random.integers(0, SIZE - wide + 1), random.integers(0, SIZE - high + 1)
    out, mask = image.copy(), np.zeros((SIZE, SIZE), np.float32)
    box = np.full((high, wide, 3), random.integers(0, 256, 3), np.float64)
    box += random.normal(0, random.uniform(0, 40), box.shape)
    out[y : y + high, x : x + wide] = np.clip(box, 0, 255)
    mask[y : y + high, x : x + wide] = 1
    return out, mask


KINDS = {f.__name__: f for f in (blur, motion, resolution, noise, jpeg, dark, bright, occlusion)}


def random_degradation(image, strength, random):
    """A random kind, and sometimes a second one. Returns image and mask."""
    mask = np.zeros((SIZE, SIZE), np.float32)
    kinds = list(KINDS)
    for _ in range(1 + (random.random() < 0.3)):
        image, hidden = KINDS[kinds[random.integers(len(kinds))]](image, strength, random)
        if hidden is not None:
            mask = np.maximum(mask, hidden)
    return image, mask


def similarity_matrix(degrees=0.0, zoom=1.0, shift=(0.0, 0.0), mirrored=False):
    """The transform of face pixels, `[2, 3]`: rotates and zooms about the middle, then shifts, then
    mirrors."""
    middle = (SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, zoom)
    matrix[:, 2] += shift
    if mirrored:
        matrix[0] *= -1
        matrix[0, 2] += SIZE - 1
    return matrix


def moved(image, matrix, random=None):
    """The transformed image; the outside is black or, with `random`, follows a random border mode."""
    borders = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT)
    border = borders[random.integers(3)] if random is not None else borders[0]
    return cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=border)


def turn(image, strength, random):
    return moved(image, similarity_matrix(random.choice([-45, 45]) * strength), random), None


def shift(image, strength, random):
    angle = random.uniform(0, 2 * np.pi)
    by = 40 * strength * np.array([np.cos(angle), np.sin(angle)])
    return moved(image, similarity_matrix(shift=by), random), None


def zoom(image, strength, random):
    by = 1 + strength
    return moved(image, similarity_matrix(zoom=by if random.random() < 0.5 else 1 / by), random), None


# Effects of wrong alignment; separate, since a detector should prevent them.
MISALIGNMENTS = {f.__name__: f for f in (turn, shift, zoom)}


def misaligned(image, strength, random):
    """Rotated, shifted and zoomed, each by a random amount."""
    fraction = random.dirichlet([1, 1, 1]) * strength * 1.5
    for part, damage in zip(np.minimum(fraction, 1), MISALIGNMENTS.values()):
        image, _ = damage(image, part, random)
    return image


def yaw(image, strength, random):
    """The head rotated about its vertical axis, by whole degrees to a random side; black outside."""
    degrees = int(round(MAX_YAW * strength)) * int(random.choice([-1, 1]))
    return cv2.remap(image, origins(degrees), None, cv2.INTER_LINEAR), None


def jitter_matrix(random, size=1.0):
    """A transform that imitates misalignment by good landmarks, randomly mirrored."""
    return similarity_matrix(
        random.normal(0, 3 * size),
        np.exp(random.normal(0, 0.04 * size)),
        random.normal(0, 2 * size, 2),
        random.random() < 0.5,
    )


def relit(image, random):
    return cv2.convertScaleAbs(image, alpha=random.uniform(0.8, 1.2), beta=random.uniform(-10, 10))
