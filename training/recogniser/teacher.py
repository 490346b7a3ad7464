"""Embeddings by the teacher (SFace: RGB, 0 to 255) and other ONNX recognisers."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


class Onnx:
    """`imagenet` chooses MobileFaceNet's normalisation instead of SFace's."""

    def __init__(self, path: Path, threads: int, imagenet: bool = False):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.batch = 32 if not isinstance(self.input.shape[0], int) else self.input.shape[0]
        self.imagenet = imagenet

    def embed(self, pictures) -> np.ndarray:
        """Pictures `[B, 112, 112, 3]` u8 RGB to raw embeddings `[B, 128]`."""
        rows = []
        for start in range(0, len(pictures), self.batch):
            x = np.asarray(pictures[start : start + self.batch], np.float32)
            if self.imagenet:
                x = (x / 255 - IMAGENET_MEAN) / IMAGENET_STD
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
            rows.append(self.session.run(None, {self.input.name: x})[0])
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
