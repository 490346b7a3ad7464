"""The teacher in PyTorch, for a GPU: embeds images as fast as they are generated.

Reads the ONNX file's tensors and the order of its layers, which is a plain chain of
convolutions, batch norms and PReLUs with one linear layer at the end.
"""

import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F


class Sface:
    """Images `[B, 3, 112, 112]`, RGB, 0 to 255, to raw embeddings `[B, 128]` and the
    last map `[B, 1024, 7, 7]`, both f32. In half precision on a GPU."""

    def __init__(self, path: Path, device: torch.device):
        graph = onnx.load(path).graph
        self.type = torch.float16 if device.type == "cuda" else torch.float32
        held = {i.name: numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
        self.middle, self.scale = (float(held[n].reshape(-1)[0]) for n in ("scalar_op1", "scalar_op2"))
        self.layers = []
        scale = shift = None
        nodes = [n for n in graph.node if n.op_type not in ("Sub", "Mul", "Constant", "Identity", "Flatten")]
        for node, after in zip(nodes, [*nodes[1:], None]):
            weights = [held[name] for name in node.input[1:]]
            norm = after is not None and after.op_type == "BatchNormalization"
            if norm:
                scale, shift = folded([held[name] for name in after.input[1:]], after)
            if node.op_type in ("Conv", "Gemm"):
                weight, bias = weights[0], weights[1] if len(weights) > 1 else 0.0
                if not norm:
                    scale, shift = np.ones(len(weight)), np.zeros(len(weight))
                weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
                self.layers.append((node, self.put(weight, device), self.put(bias * scale + shift, device)))
            elif node.op_type == "PRelu":
                self.layers.append((node, self.put(weights[0].reshape(-1), device), None))
                if norm:
                    self.layers.append((after, self.put(scale, device), self.put(shift, device)))
            elif node.op_type != "BatchNormalization":
                raise SystemExit(f"{path}: expected a teacher of convolutions, found '{node.op_type}'")

        self.format = torch.contiguous_format
        if device.type == "cuda":
            self.format = min((torch.contiguous_format, torch.channels_last), key=self.seconds)

    def put(self, values, device):
        return torch.from_numpy(np.asarray(values)).to(device, self.type)

    def seconds(self, layout):
        """Time of three batches in a memory layout; which layout is faster depends on the library."""
        self.format = layout
        x = torch.zeros(512, 3, 112, 112, device=self.layers[0][1].device)
        for again in range(5):
            if again == 2:
                torch.cuda.synchronize()
                start = time.perf_counter()
            self(x)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    @torch.no_grad()
    def __call__(self, images):
        x = ((images - self.middle) * self.scale).to(self.type, memory_format=self.format)
        last = None
        for node, weight, bias in self.layers:
            if node.op_type == "Conv":
                attributes = {a.name: list(a.ints) or a.i for a in node.attribute}
                weight = weight.contiguous(memory_format=self.format)
                x = F.conv2d(
                    x, weight, bias, attributes["strides"], attributes["pads"][:2], groups=attributes["group"]
                )
            elif node.op_type == "PRelu":
                x = F.prelu(x, weight)
            elif node.op_type == "BatchNormalization":
                x = last = torch.addcmul(bias[:, None, None], x, weight[:, None, None])
            else:
                x = F.linear(x.flatten(1), weight, bias)
        return x.float(), last.float()

    def embed(self, images) -> np.ndarray:
        """Images `[B, 112, 112, 3]` u8 RGB to raw embeddings `[B, 128]`."""
        device = self.layers[0][1].device
        parts = np.array_split(np.asarray(images), max(1, len(images) // 256))
        shown = (torch.from_numpy(np.array(part)).to(device) for part in parts)
        return np.concatenate([self(p.permute(0, 3, 1, 2).float())[0].cpu().numpy() for p in shown])


def folded(values, node):
    """Scale and shift of a batch norm."""
    gamma, beta, mean, variance = values
    epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale
