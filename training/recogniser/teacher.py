"""Embeddings from the teacher (SFace: RGB, 0 to 255) and other ONNX recognisers."""

from pathlib import Path

import numpy as np
import openvino
from hints import MAP_SIDE

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


def last_map(model):
    """The output of the last layer with `MAP_SIDE` squared cells."""
    for op in reversed(model.get_ordered_ops()):
        if op.get_type_name() == "Constant" or op.get_output_size() != 1:
            continue
        shape = op.output(0).partial_shape
        if (
            shape.rank.is_static
            and shape.rank.get_length() == 4
            and all(shape[axis].is_static and shape[axis].get_length() == MAP_SIDE for axis in (2, 3))
        ):
            return op.output(0)
    raise SystemExit(f"teacher: no layer of {MAP_SIDE}x{MAP_SIDE} cells to take hints from")


class Onnx:
    """An ONNX file run by OpenVINO. If the graph allows, it runs in batches even if the file
    declares a batch size of one: on two cores this is five times as fast as ONNX Runtime with
    a batch of one. `imagenet` selects MobileFaceNet's normalisation instead of SFace's; `maps`
    returns the network's last map of `MAP_SIDE` squared cells instead of the embedding."""

    def __init__(self, path: Path, threads: int, imagenet: bool = False, batch: int = 16, maps: bool = False):
        core = openvino.Core()
        model = core.read_model(path)
        if maps:
            model = openvino.Model([last_map(model)], model.get_parameters(), "maps")
        shape = model.input(0).partial_shape
        shape[0] = batch
        model.reshape(shape)
        if model.output(0).partial_shape[0] != batch:
            # A graph that flattens its batch takes one image at a time.
            batch = shape[0] = 1
            model.reshape(shape)
        # Hints need not be exact; bf16 is three times as fast on a processor that supports it.
        precision = "bf16" if maps else "f32"
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        self.model = core.compile_model(model, "CPU", settings)
        self.batch, self.imagenet = batch, imagenet

    def embed(self, images) -> np.ndarray:
        """Images `[B, 112, 112, 3]` u8 RGB to raw embeddings `[B, 128]`."""
        rows = []
        for start in range(0, len(images), self.batch):
            x = np.asarray(images[start : start + self.batch], np.float32)
            if self.imagenet:
                x = (x / 255 - IMAGENET_MEAN) / IMAGENET_STD
            count = len(x)
            x = np.pad(x.transpose(0, 3, 1, 2), ((0, self.batch - count), (0, 0), (0, 0), (0, 0)))
            rows.append(self.model(np.ascontiguousarray(x))[0][:count].copy())
        return np.concatenate(rows)
