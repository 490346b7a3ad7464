"""Decodes the twelve outputs of a YuNet-format network into faces.

The outputs of stride s are lists of cells in row-major order. For the cell (col, row):
score = sqrt(cls * obj), box centre = (col + dx, row + dy) * s, box size = exp(dw, dh) * s,
landmark = (col + kx, row + ky) * s. A face is a row
`score, x, y, width, height, lx1, ly1, ..., lx5, ly5` in pixels of the image, where x, y is
the top left corner of the box. Landmarks go from left to right in the image: eyes, nose
tip, mouth corners.
"""

import numpy as np
import onnxruntime

STRIDES = (8, 16, 32)
MULTIPLE = 32
# The program's confidence in a box (`crates/attn-fiqa/src/detect/confidence.rs`): sides in pixels,
# and the score that gives a confidence of 0.7 at each.
SIDES, SCORES, ANCHOR = (20, 32, 48, 72, 120, 180), (0.76, 0.68, 0.53, 0.47, 0.47, 0.7), 0.7


class Detector:
    """A YuNet-format ONNX file on one thread; `bgr` for OpenCV Zoo's YuNet. With `by_size`, scores
    are converted to the program's confidences."""

    def __init__(self, path, bgr=False, threads=1, by_size=False):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]
        self.bgr, self.by_size = bgr, by_size

    def candidates(self, image, threshold):
        """All cells of score >= threshold of an RGB u8 image `[H, W, 3]`, best first."""
        height, width = image.shape[:2]
        padded = [-(-side // MULTIPLE) * MULTIPLE for side in (height, width)]
        canvas = np.zeros((*padded, 3), np.float32)
        canvas[:height, :width] = image[..., ::-1] if self.bgr else image
        values = self.session.run(None, {self.input: canvas.transpose(2, 0, 1)[None].copy()})
        outputs = dict(zip(self.names, values))
        return np.concatenate(
            [decode_level(outputs, stride, padded[1] // stride, threshold) for stride in STRIDES]
        )

    def detect(self, image, threshold=0.5, overlap=0.3, merge=False):
        """Faces after suppression of overlapping candidates, best first.

        With `merge`, each face is the mean of itself and the candidates it suppressed,
        weighted by score; otherwise it is the best candidate itself.
        """
        if not self.by_size:
            return nms(self.candidates(image, threshold), overlap, merge)
        least = threshold ** (np.log(min(SCORES)) / np.log(ANCHOR))
        faces = nms(self.candidates(image, least), overlap, merge)
        faces[:, 0] = confidence(faces[:, 0], np.sqrt(faces[:, 3] * faces[:, 4]))
        faces = faces[faces[:, 0] >= threshold]
        return faces[np.argsort(-faces[:, 0], kind="stable")]


def confidence(score, side):
    """The program's confidence in boxes with these scores and sides (square roots of areas)."""
    anchor = np.interp(np.log(side), np.log(SIDES), SCORES)
    return score ** (np.log(ANCHOR) / np.log(anchor))


def decode_level(outputs, stride, columns, threshold):
    """Candidates `[n, 15]` of one stride."""
    product = outputs[f"cls_{stride}"][0, :, 0] * outputs[f"obj_{stride}"][0, :, 0]
    score = np.sqrt(np.clip(product, 0, 1))
    cells = np.flatnonzero(score >= threshold)
    row, column = np.divmod(cells, columns)
    cell = np.stack([column, row], 1).astype(np.float32)
    box = outputs[f"bbox_{stride}"][0, cells]
    points = outputs[f"kps_{stride}"][0, cells].reshape(-1, 5, 2)
    size = np.exp(np.minimum(box[:, 2:], 8)) * stride
    corner = (cell + box[:, :2]) * stride - size / 2
    points = (cell[:, None] + points) * stride
    return np.concatenate([score[cells, None], corner, size, points.reshape(-1, 10)], 1)


def iou(box, boxes):
    """Intersection over union of one box `x, y, w, h` with each of many."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    return shared / np.maximum(union, 1e-9)


def nms(faces, overlap, merge):
    """Greedy non-maximum suppression; see `Detector.detect`."""
    faces = faces[np.argsort(-faces[:, 0], kind="stable")]
    kept = []
    while len(faces):
        same = iou(faces[0, 1:5], faces[:, 1:5]) > overlap
        same[0] = True
        face = faces[0].copy()
        if merge:
            weight = faces[same, :1]
            face[1:] = (faces[same, 1:] * weight).sum(0) / weight.sum()
        kept.append(face)
        faces = faces[~same]
    return np.array(kept, np.float32).reshape(-1, 15)


def landmark_error(found, reference):
    """Mean distance of the five points as a fraction of the reference's inter-eye distance."""
    a, b = found[5:15].reshape(5, 2), reference[5:15].reshape(5, 2)
    eyes = np.linalg.norm(b[0] - b[1])
    return float(np.linalg.norm(a - b, axis=1).mean() / max(eyes, 1e-6))
