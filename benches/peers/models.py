"""Writes the same random weights in every format that a runner reads."""

import contextlib
import io
import logging
import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from vit import SHAPES, QualityVit


def write(folder, shape, pixels, int8):
    """Writes the models of one shape into `folder`, except existing ones, and returns their
    paths by runner."""
    torch.manual_seed(1)
    model = QualityVit(**SHAPES[shape]).eval()
    official = folder / f"{shape}.safetensors"
    state = folder / f"{shape}.torch"
    onnx = folder / f"{shape}.onnx"
    if not onnx.exists():
        save_file(model.official_state(), official)
        torch.save({"shape": SHAPES[shape], "state": model.state_dict()}, state)
        _export(model, pixels, onnx)
    paths = {
        "ours": official,
        "candle-f32": official,
        "torch-f32": state,
        "torch-bf16": state,
        "onnxruntime-f32": onnx,
        "openvino-f32": onnx,
        "openvino-bf16": onnx,
        "rten-f32": onnx,
    }
    if int8:
        paths["onnxruntime-int8"] = onnx.with_name(f"{onnx.stem}-int8.onnx")
        paths["openvino-int8"] = onnx.with_name(f"{onnx.stem}-nncf.xml")
        if not paths["openvino-int8"].exists():
            _onnxruntime_int8(onnx, paths["onnxruntime-int8"])
            openvino_int8(onnx, pixels, paths["openvino-int8"])
    return paths


def _export(model, pixels, onnx):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.from_numpy(pixels[:2]),),
            str(onnx),
            dynamo=False,
            opset_version=17,
            input_names=["images"],
            output_names=["scores"],
            dynamic_axes={"images": {0: "batch"}, "scores": {0: "batch"}},
        )


def _onnxruntime_int8(onnx, path):
    """Per-channel weights, dynamic activations: what a user of ONNX Runtime would do."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)
    quantize_dynamic(onnx, path, weight_type=QuantType.QInt8, per_channel=True)


def openvino_int8(onnx, pixels, path):
    """Post-training quantisation with NNCF and its settings for transformers."""
    import nncf
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = openvino.Core().read_model(onnx)
    dataset = nncf.Dataset([np.ascontiguousarray(pixels[i : i + 1]) for i in range(len(pixels))])
    with contextlib.redirect_stdout(io.StringIO()):
        quantised = nncf.quantize(
            model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(pixels)
        )
    openvino.save_model(quantised, path, compress_to_fp16=False)
