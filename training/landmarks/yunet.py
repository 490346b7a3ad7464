"""The teacher for many views at once: its ONNX graph, run by PyTorch.

Only the operators of `yunet_n_dynamic.onnx` are supported. The outputs are decoded as in
`training/detector/decode.py`.
"""

from collections.abc import Callable

import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

STRIDES = (8, 16, 32)
# As in `labels.py`: minimum score, and overlap between candidates of one face.
SCORE_THRESHOLD, OVERLAP = 0.3, 0.45


class Teacher:
    """The graph's nodes in order, with its weights on the device."""

    def __init__(self, path, device):
        graph = onnx.load(str(path)).graph
        self.device = torch.device(device)
        self.input = graph.input[0].name
        self.outputs = [output.name for output in graph.output]
        attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in graph.node]
        self.nodes = [(n.op_type, list(n.input), n.output[0], a) for n, a in zip(graph.node, attributes)]
        self.constants = {}
        for tensor in graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            # Integers are shapes, which are computed on the host.
            self.constants[tensor.name] = value.to(device) if value.is_floating_point() else value

    @torch.inference_mode()
    def run(self, bgr):
        """Outputs by name for BGR `[n, 3, h, w]` of 0..255, with sides a multiple of 32."""
        values = {**self.constants, self.input: bgr}
        for op, inputs, output, attributes in self.nodes:
            values[output] = OPERATORS[op](attributes, *(values.get(name) for name in inputs))
        return {name: values[name] for name in self.outputs}

    def central(self, views, middle, reach):
        """The face of each view with the highest score near its expected position.

        Views are RGB. `middle` `[n, 2]` is that position in pixels from the outer corner, and
        `reach` `[n]` the maximum distance of the face centre from it. Returns faces `[n, 15]`
        (score, x, y, w, h, points), each the score-weighted mean of its candidates, and which
        were found.
        """
        outputs = self.run(views.flip(1))
        faces = torch.cat([decoded(outputs, stride, views.shape[3] // stride) for stride in STRIDES], 1)
        score = faces[..., 0]
        centre = faces[..., 1:3] + faces[..., 3:5] / 2
        away = (centre - middle[:, None]).abs().amax(2)
        seen = score >= SCORE_THRESHOLD
        best = torch.where(seen & (away <= reach[:, None]), score, -1.0).argmax(1)
        each = torch.arange(len(faces), device=faces.device)
        face = faces[each, best]
        same = seen & (overlaps(face[:, 1:5], faces[..., 1:5]) > OVERLAP)
        weight = score * same
        merged = (faces * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp(min=1e-6)
        merged = torch.cat([face[:, :1], merged[:, 1:]], 1)
        return merged, seen[each, best] & (away[each, best] <= reach)


def decoded(outputs, stride, columns):
    """All cells `[n, cells, 15]` of one stride."""
    score = (outputs[f"cls_{stride}"] * outputs[f"obj_{stride}"]).clamp(0, 1).sqrt()
    index = torch.arange(score.shape[1], device=score.device)
    cell = torch.stack([index % columns, index // columns], 1).float()
    box, points = outputs[f"bbox_{stride}"], outputs[f"kps_{stride}"]
    size = box[..., 2:].clamp(max=8).exp() * stride
    corner = (cell + box[..., :2]) * stride - size / 2
    points = (cell.repeat(1, 5) + points) * stride
    return torch.cat([score, corner, size, points], 2)


def overlaps(box, boxes):
    """Intersection over union of `[n, 4]` with `[n, cells, 4]`."""
    box = box[:, None]
    low = torch.maximum(box[..., :2], boxes[..., :2])
    high = torch.minimum(box[..., :2] + box[..., 2:], boxes[..., :2] + boxes[..., 2:])
    shared = (high - low).clamp(min=0).prod(2)
    union = box[..., 2:].prod(2) + boxes[..., 2:].prod(2) - shared
    return shared / union.clamp(min=1e-9)


def conv(attributes, x, weight, bias=None):
    pads = attributes["pads"]
    return functional.conv2d(
        x, weight, bias, attributes["strides"], pads[:2], attributes["dilations"], attributes["group"]
    )


def pool(attributes, x):
    return functional.max_pool2d(x, attributes["kernel_shape"], attributes["strides"])


OPERATORS: dict[str, Callable] = {
    "Conv": conv,
    "MaxPool": pool,
    "Relu": lambda a, x: torch.relu(x),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Add": lambda a, x, y: x + y,
    # Every Resize doubles the sides.
    "Resize": lambda a, x, *_: functional.interpolate(x, scale_factor=2, mode="nearest"),
    "Transpose": lambda a, x: x.permute(a["perm"]),
    "Reshape": lambda a, x, shape: x.reshape(shape.tolist()),
    "Shape": lambda a, x: torch.tensor(x.shape),
    "Gather": lambda a, x, index: x[index],
    "Unsqueeze": lambda a, x: x.reshape(1),
    "Concat": lambda a, *parts: torch.cat([part.reshape(-1) for part in parts]),
}
