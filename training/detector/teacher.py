"""The teacher's outputs for every cell of a view."""

import cv2
import numpy as np
import onnxruntime
from decode import STRIDES

# Boxes and landmarks are learned from cells with a higher score only.
MIN_BOX_SCORE = 0.3


class Teacher:
    """YuNet; `train.py` averages the scores of a view and its mirror image cell by cell."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    def cells(self, views):
        """RGB `[B, S, S, 3]` to `[B, cells, 15]`: score, box and landmarks in the encoding of the head."""
        x = np.ascontiguousarray(views[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        outputs = dict(zip(self.names, self.session.run(None, {self.input: x})))
        levels = []
        for stride in STRIDES:
            score = np.sqrt(np.clip(outputs[f"cls_{stride}"] * outputs[f"obj_{stride}"], 0, 1))
            levels.append(np.concatenate([score, outputs[f"bbox_{stride}"], outputs[f"kps_{stride}"]], 2))
        return np.concatenate(levels, 1)


def boxes(cells, side, threshold):
    """Boxes `[n, 4]` of the cells of one view with at least this score, one per face."""
    found, offset = [], 0
    for stride in STRIDES:
        n = side // stride
        level = cells[offset : offset + n * n]
        offset += n * n
        index = np.flatnonzero(level[:, 0] >= threshold)
        row, column = np.divmod(index, n)
        size = np.exp(np.minimum(level[index, 3:5], 6)) * stride
        centre = (np.stack([column, row], 1) + level[index, 1:3]) * stride
        found.append(np.concatenate([level[index, :1], centre - size / 2, size], 1))
    found = np.concatenate(found)
    if len(found) == 0:
        return np.zeros((0, 4))
    kept = cv2.dnn.NMSBoxes(found[:, 1:].tolist(), found[:, 0].tolist(), threshold, 0.3)
    return found[np.array(kept).ravel(), 1:]
