"""Exported networks in other runtimes, compared with the program; see run."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import alignment
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# PNG, because JPEG decoders differ.
FACES = sorted((ROOT / "examples/faces").glob("*.png"))
PHOTO = ROOT / "examples/astronaut.png"
SIDE = 112


def program(args, *words):
    command = [args.program, *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def expected(args, model):
    """Score, quality, map and embedding of every example face, from the program."""
    columns = "map" if args.no_embedding else "map,embedding"
    words = ["score", *FACES[: args.faces], "--aligned", "--format", "jsonl", "--columns", columns, *model]
    rows = [json.loads(line) for line in program(args, *words).splitlines()]
    return {
        name: np.array([row[name] for row in rows], np.float32)
        for name in ("score", "quality", "map", "embedding")
        if name in rows[0] and rows[0][name] is not None
    }, [Path(row["path"]) for row in rows]


def planes(paths):
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return np.stack(pixels).astype(np.float32).transpose(0, 3, 1, 2).copy()


def metadata(path):
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return {entry.key: entry.value for entry in model.metadata_props}


# Each runtime takes a file and returns a function from planes [batch, 3, S, S] to outputs by name.


def onnxruntime(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {"image": images}), strict=True))


def openvino(path):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = core.compile_model(core.read_model(path), "CPU", settings)
    names = [output.get_any_name() for output in model.outputs]
    return lambda images: {
        name: np.array(value) for name, value in zip(names, model(images).values(), strict=True)
    }


def opencv(path):
    import cv2

    cv2.setNumThreads(1)
    network = cv2.dnn.readNetFromONNX(str(path))
    names = network.getUnconnectedOutLayersNames()

    def run(images):
        network.setInput(images, "image")
        return dict(zip(names, network.forward(names), strict=True))

    return run


class OnnxruntimeWeb:
    """WebAssembly in Node; `seconds` is the time of one image, without starting Node."""

    def __init__(self, path):
        self.path, self.folder, self.seconds = path, Path(tempfile.mkdtemp()), None

    def __call__(self, images):
        (self.folder / "images").write_bytes(images.tobytes())
        words = ["node", HERE / "web.js", self.path, self.folder / "images", *images.shape]
        subprocess.run([*map(str, words), str(self.folder / "out.json")], check=True)
        found = json.loads((self.folder / "out.json").read_text())
        self.seconds = found.pop("seconds")
        values = {name: np.array(one["data"], np.float32) for name, one in found.items()}
        return {name: values[name].reshape(one["dims"]) for name, one in found.items()}


RUNTIMES = {
    "ONNX Runtime": onnxruntime,
    "OpenVINO": openvino,
    "OpenCV dnn": opencv,
    "onnxruntime-web, wasm in Node": OnnxruntimeWeb,
}


def compare(name, open_network, path, images, wanted, scale):
    try:
        run = open_network(path)
        found = run(images)
        seconds = getattr(run, "seconds", None)
        if seconds is None:
            started = time.perf_counter()
            for image in images[:4]:
                run(image[None])
            seconds = (time.perf_counter() - started) / len(images[:4])
        one = run(images[:1])
    except Exception as error:  # A runtime that rejects the graph is a result.
        return f"| {name} | {path.stem} | does not run: {' '.join(str(error).split())[:150]} |"
    cells = []
    for output in ("score", "map", "embedding"):
        if output not in wanted:
            cells.append("")
            continue
        values = found[output].reshape(wanted[output].shape)
        unit = np.abs(wanted[output]).max() if output == "embedding" else scale
        cells.append(f"{np.abs(values - wanted[output]).max() / unit:.1e}")
    if "quality" in wanted:
        same = found["quality"].reshape(-1) == wanted["quality"]
        off = np.abs(found["quality"].reshape(-1) - wanted["quality"]).max()
        cells.append(f"{same.sum()} of {len(same)}, others by {off:.0f}")
    else:
        cells.append("")
    alone = np.abs(one["score"].reshape(-1) - found["score"].reshape(-1)[:1]).max() / scale
    return f"| {name} | {path.stem} | {' | '.join(cells)} | {alone:.0e} | {1000 * seconds:.0f} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--skip", action="append", default=[], choices=RUNTIMES)
    parser.add_argument("--faces", type=int, help="so many of the example faces")
    parser.add_argument("--no-embedding", action="store_true")
    args, model = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp())
    wanted, paths = expected(args, model)
    images = planes(paths)
    outputs = [name for name in ("score", "quality", "map", "embedding") if name in wanted]
    for dtype in ("f32", "f16"):
        file = folder / f"{dtype}.onnx"
        words = ["model", "export", file, "--dtype", dtype, "--outputs", ",".join(outputs), *model]
        program(args, *words)
        print(f"{dtype}: {file.stat().st_size / 1e6:.1f} MB", metadata(file), file=sys.stderr)
    # The range of the example faces, from unusable to clean.
    scale = float(np.ptp(wanted["score"]))
    print(f"range of the {len(paths)} scores: {scale:.3f}", file=sys.stderr)
    print("| runtime | weights | score | map | embedding | equal qualities | alone and in a batch | ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name, open_network in RUNTIMES.items():
        if name in args.skip:
            continue
        for dtype in ("f32", "f16"):
            print(compare(name, open_network, folder / f"{dtype}.onnx", images, wanted, scale))
    if not model:
        alignment.compare(lambda *words: program(args, *words), folder, PHOTO)


if __name__ == "__main__":
    main()
