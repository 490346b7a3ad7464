"""Writes a network as ONNX with YuNet's input and output names.

Batch norms and the input scale factor are folded into the convolutions, so that the
file contains only Conv, Relu, Add, Resize, Sigmoid, Transpose and Reshape.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

sys.path.append(str(Path(__file__).resolve().parents[1]))

from blocks import INPUT_SCALE, Separable
from decode import STRIDES

NAME = "attn-fiqa-face"


class Graph:
    def __init__(self):
        self.nodes, self.constants, self.made = [], [], 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op, inputs, output=None, **attributes):
        self.made += 1
        output = output or f"t{self.made}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def conv(self, x, conv, scale=1.0):
        weight = conv.weight.detach().float().numpy() * np.float32(scale)
        inputs = [x, self.constant(weight), self.constant(conv.bias.detach().float().numpy())]
        return self.add(
            "Conv",
            inputs,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=list(conv.padding) * 2,
            group=conv.groups,
        )

    def conv_norm(self, x, pair, scale=1.0):
        return self.conv(x, fuse_conv_bn_eval(pair[0], pair[1]), scale)

    def separable(self, x, module):
        y = self.add("Relu", [self.conv_norm(x, module.depthwise)])
        y = self.conv_norm(y, module.pointwise)
        if module.residual:
            y = self.add("Add", [x, y])
        return self.add("Relu", [y])

    def sequence(self, x, modules):
        for module in modules:
            assert isinstance(module, Separable)
            x = self.separable(x, module)
        return x

    def double(self, x):
        return self.add(
            "Resize",
            [x, "", self.constant(np.array([1, 1, 2, 2], np.float32))],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def cells(self, x, conv, rows, name, sigmoid=False):
        """One output: the given output channels of a 1x1 convolution as a list of cells."""
        part = nn.Conv2d(conv.in_channels, len(rows), 1)
        part.weight.data = conv.weight.data[rows]
        part.bias.data = conv.bias.data[rows]
        x = self.conv(x, part)
        if sigmoid:
            x = self.add("Sigmoid", [x])
        x = self.add("Transpose", [x], perm=[0, 2, 3, 1])
        shape = self.constant(np.array([0, -1, len(rows)], np.int64))
        return self.add("Reshape", [x, shape], name)


def export(network, path, note=""):
    network = network.eval().cpu()
    graph = Graph()
    x = graph.add("Relu", [graph.conv_norm("input", network.stem[0], INPUT_SCALE)])
    x8 = graph.sequence(graph.sequence(x, network.stage4), network.stage8)
    x16 = graph.sequence(x8, network.stage16)
    x32 = graph.sequence(x16, network.stage32)
    lateral = [graph.conv_norm(x, m) for x, m in zip((x8, x16, x32), network.lateral)]
    p32 = graph.add("Relu", [lateral[2]])
    p16 = graph.add("Relu", [graph.add("Add", [lateral[1], graph.double(p32)])])
    p8 = graph.add("Relu", [graph.add("Add", [lateral[0], graph.double(p16)])])

    outputs = {}
    for stride, x, head in zip(STRIDES, (p8, p16, p32), network.heads):
        x = graph.separable(x, head.mix)
        # Both factors are the trained score, so that sqrt(cls * obj) is the score.
        score = graph.cells(x, head.out, [0], f"cls_{stride}", sigmoid=True)
        graph.add("Identity", [score], f"obj_{stride}")
        graph.cells(x, head.out, list(range(1, 5)), f"bbox_{stride}")
        graph.cells(x, head.out, list(range(5, 15)), f"kps_{stride}")
        for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[kind, stride] = helper.make_tensor_value_info(
                f"{kind}_{stride}", TensorProto.FLOAT, ["batch", f"cells_{stride}", width]
            )

    shape = ["batch", 3, "height", "width"]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)]
    ordered = [outputs[k, s] for k in ("cls", "obj", "bbox", "kps") for s in STRIDES]
    made = helper.make_graph(graph.nodes, NAME, inputs, ordered, graph.constants)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 13)], producer_name=NAME, ir_version=8
    )
    model.doc_string = note
    onnx.checker.check_model(model)
    onnx.save(model, path)
