"""Embeddings by the teacher (SFace: RGB, 0 to 255) and other ONNX recognisers."""

from pathlib import Path

import numpy as np
import openvino

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


class Onnx:
    """Run by OpenVINO, in batches also where the file says one picture at a time,
    if its graph allows: on two cores five times as fast as ONNX Runtime one by one.
    `imagenet` chooses MobileFaceNet's normalisation instead of SFace's."""

    def __init__(self, path: Path, threads: int, imagenet: bool = False, batch: int = 16):
        core = openvino.Core()
        model = core.read_model(path)
        shape = model.input(0).partial_shape
        shape[0] = batch
        model.reshape(shape)
        if model.output(0).partial_shape[0] != batch:
            # A graph that flattens its batch takes one picture at a time.
            batch = shape[0] = 1
            model.reshape(shape)
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self.model = core.compile_model(model, "CPU", settings)
        self.batch, self.imagenet = batch, imagenet

    def embed(self, pictures) -> np.ndarray:
        """Pictures `[B, 112, 112, 3]` u8 RGB to raw embeddings `[B, 128]`."""
        rows = []
        for start in range(0, len(pictures), self.batch):
            x = np.asarray(pictures[start : start + self.batch], np.float32)
            if self.imagenet:
                x = (x / 255 - IMAGENET_MEAN) / IMAGENET_STD
            count = len(x)
            x = np.pad(x.transpose(0, 3, 1, 2), ((0, self.batch - count), (0, 0), (0, 0), (0, 0)))
            rows.append(self.model(np.ascontiguousarray(x))[0][:count].copy())
        return np.concatenate(rows)


def cached(path: Path, recogniser: Onnx, pictures, mirror: bool = False) -> np.ndarray:
    """Embeddings from `path`, or computed and kept there. Resumes by chunks."""
    if path.exists():
        return np.load(path)
    part, chunk = path.with_suffix(".part.npy"), 2048
    rows = [np.load(part)] if part.exists() else []
    done = len(rows[0]) if rows else 0
    while done < len(pictures):
        block = pictures[done : done + chunk]
        rows.append(recogniser.embed(block[:, :, ::-1] if mirror else block))
        done += len(block)
        np.save(part, np.concatenate(rows))
        print(f"{path.name}: {done} of {len(pictures)}", flush=True)
    np.save(path, np.concatenate(rows))
    part.unlink()
    return np.load(path)


def unit(embeddings):
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), 1e-9)
