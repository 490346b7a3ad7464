"""Writes the landmark network, as safetensors for the program and as ONNX for other programs.

In both, batch norms and the input scale factor are folded into the convolutions.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch.nn.utils.fusion import fuse_conv_bn_eval

TRAINING = Path(__file__).resolve().parents[1]
sys.path += [str(TRAINING), str(TRAINING / "detector")]

from blocks import INPUT_SCALE  # noqa: E402
from export import Graph  # noqa: E402
from geometry import VIEW  # noqa: E402
from net import POINTS, cells  # noqa: E402

NAME = "attn-fiqa-points"


def export(network, path, note=""):
    network = network.eval().cpu()
    graph = Graph()
    x = graph.add("Relu", [graph.conv_norm("input", network.stem[0], INPUT_SCALE)])
    x4 = graph.sequence(x, network.stage4)
    x8 = graph.sequence(x4, network.stage8)
    x16 = graph.sequence(x8, network.stage16)
    lateral = [graph.conv_norm(x, m) for x, m in zip((x4, x8, x16), network.lateral)]
    p16 = graph.add("Relu", [lateral[2]])
    p8 = graph.add("Relu", [graph.add("Add", [lateral[1], graph.double(p16)])])
    p4 = graph.add("Relu", [graph.add("Add", [lateral[0], graph.double(p8)])])
    heat = graph.conv(graph.separable(p4, network.mix), network.out)
    heat = graph.add("Reshape", [heat, graph.constant(np.array([0, POINTS, -1], np.int64))])
    heat = graph.add("Softmax", [heat], axis=-1)
    graph.add("MatMul", [heat, graph.constant(cells().numpy())], "points")
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, VIEW, VIEW])]
    outputs = [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["batch", POINTS, 2])]
    made = helper.make_graph(graph.nodes, NAME, inputs, outputs, graph.constants)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 13)], producer_name=NAME, ir_version=8
    )
    model.doc_string = note
    onnx.checker.check_model(model)
    onnx.save(model, path)


def save(network, path, note=""):
    """Writes f32 tensors under the names of `net.py`, one weight and one bias per convolution."""
    network = network.eval().cpu()
    tensors = {}

    def put(name, conv, scale=1.0):
        tensors[f"{name}.weight"] = (conv.weight.detach().float() * scale).contiguous()
        tensors[f"{name}.bias"] = conv.bias.detach().float().contiguous()

    def put_separable(name, module):
        for part in ("depthwise", "pointwise"):
            put(f"{name}.{part}", fuse_conv_bn_eval(*getattr(module, part)))

    put("stem", fuse_conv_bn_eval(*network.stem[0]), INPUT_SCALE)
    for stage in ("stage4", "stage8", "stage16"):
        for number, module in enumerate(getattr(network, stage)):
            put_separable(f"{stage}.{number}", module)
    for number, module in enumerate(network.lateral):
        put(f"lateral.{number}", fuse_conv_bn_eval(*module))
    put_separable("mix", network.mix)
    put("out", network.out)
    save_file(tensors, path, {"format": "pt", "network": NAME, "note": note})
