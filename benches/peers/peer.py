"""One peer as a process: loads a model, scores one image, then scores all on demand.

`peer.py RUNNER MODEL CROPS THREADS`. After the first score it prints `ready SCORE`. Then,
for every batch size on a line of standard input, it scores all crops once and prints the
seconds that took and the sum of the scores.
"""

import sys
import time

import numpy as np

SIDE = 112


def torch_runner(path, threads, bf16):
    import contextlib

    import torch
    from vit import QualityVit

    torch.set_num_threads(threads)
    saved = torch.load(path, weights_only=True)
    model = QualityVit(**saved["shape"]).eval()
    model.load_state_dict(saved["state"])

    def score(images):
        autocast = torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()
        with torch.inference_mode(), autocast:
            return model(torch.from_numpy(images)).float().numpy()

    return score


def onnxruntime_runner(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["scores"], {"images": images})[0]


def openvino_runner(path, threads, precision):
    import openvino

    core = openvino.Core()
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
    }
    requests = {}

    def score(images):
        # A fixed batch size allows better planning than a dynamic one.
        count = len(images)
        if count not in requests:
            model = core.read_model(path)
            model.reshape([count, SIDE, SIDE, 3])
            requests[count] = core.compile_model(model, "CPU", properties).create_infer_request()
        return next(iter(requests[count].infer({0: images}).values()))

    return score


RUNNERS = {
    "torch-f32": lambda path, threads: torch_runner(path, threads, bf16=False),
    "torch-bf16": lambda path, threads: torch_runner(path, threads, bf16=True),
    "onnxruntime-f32": onnxruntime_runner,
    "onnxruntime-int8": onnxruntime_runner,
    "openvino-f32": lambda path, threads: openvino_runner(path, threads, "f32"),
    "openvino-bf16": lambda path, threads: openvino_runner(path, threads, "bf16"),
    "openvino-int8": lambda path, threads: openvino_runner(path, threads, "f32"),
}


def main():
    name, path, crops, threads = sys.argv[1:]
    score = RUNNERS[name](path, int(threads))
    images = np.fromfile(crops, np.uint8).reshape(-1, SIDE, SIDE, 3)
    print("ready", float(score(images[:1])[0]), flush=True)
    for line in sys.stdin:
        batch, total = int(line), 0.0
        start = time.perf_counter()
        for first in range(0, len(images), batch):
            total += float(np.sum(score(images[first : first + batch]), dtype=np.float64))
        print(time.perf_counter() - start, total, flush=True)


if __name__ == "__main__":
    main()
