"""From photos on disk to scores: ours against OpenCV, YuNet in ONNX Runtime and OpenVINO.

Both score the most prominent face of each photo with the same network; theirs is the graph that
`attn-fiqa model export` writes. Both run as whole processes, started alternately in every round and
timed from start to end.
"""

import argparse
import csv
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SIDE = 112
# Positions of eyes, nose tip and mouth corners in an aligned crop (ArcFace).
TEMPLATE = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
]


def similarity(points):
    """The 2x3 least-squares similarity transform that maps five landmarks onto the template."""
    import numpy as np

    source, target = np.asarray(points, np.float64), np.asarray(TEMPLATE)
    a, b = source - source.mean(0), target - target.mean(0)
    left, values, right = np.linalg.svd(b.T @ a)
    sign = np.array([1, np.sign(np.linalg.det(left @ right))])
    turn = left @ np.diag(sign) @ right
    scale = (values * sign).sum() / (a**2).sum()
    return np.hstack([scale * turn, (target.mean(0) - scale * turn @ source.mean(0))[:, None]])


def theirs(model, yunet, folder, output, batch, threads, precision):
    """Decodes with OpenCV, detects with YuNet at the photo's own size and scores with OpenVINO."""
    import cv2
    import numpy as np
    import openvino

    sys.path.append(str(pathlib.Path(__file__).parents[2] / "training/detector"))
    from decode import Detector

    cv2.setNumThreads(threads)
    detector = Detector(yunet, bgr=True, threads=threads)
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    network = openvino.Core().compile_model(model, "CPU", hints)
    crops, names, rows = [], [], []

    def score():
        if crops:
            pixels = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
            found = network(pixels)["score"].reshape(-1)
            rows.extend(zip(names, found.tolist()))
            crops.clear()
            names.clear()

    for file in sorted(folder.glob("*.jpg")):
        image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        faces = detector.detect(image, 0.7)
        if len(faces) == 0:
            rows.append((file, ""))
            continue
        largest = faces[np.argmax(faces[:, 3] * faces[:, 4])]
        crops.append(cv2.warpAffine(image, similarity(largest[5:].reshape(5, 2)), (SIDE, SIDE)))
        names.append(file)
        if len(crops) == batch:
            score()
    score()
    with output.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "score"])
        writer.writerows(rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the built program attn-fiqa")
    parser.add_argument("photos", type=pathlib.Path, help="folder of JPEG files")
    parser.add_argument("--yunet", required=True, help="YuNet as ONNX with free input size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    options = parser.parse_args()
    count = len(list(options.photos.glob("*.jpg")))
    with tempfile.TemporaryDirectory() as temporary:
        here = pathlib.Path(temporary)
        model, output = here / "score.onnx", here / "scores.csv"
        export = [options.binary, "model", "export", "--outputs", "score", "--quiet", str(model)]
        subprocess.run(export, check=True)
        commands = {}
        for precision in options.precisions:
            commands[f"ours-{precision}"] = [
                options.binary, "score", options.photos, "--largest", "--quiet", "--output", output,
                "--jobs", options.threads, "--precision", precision,
            ]  # fmt: skip
            commands[f"theirs-{precision}"] = [
                sys.executable, __file__, "--theirs", model, options.yunet, options.photos, output,
                options.batch, options.threads, precision,
            ]  # fmt: skip
        seconds = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                output.unlink(missing_ok=True)
                start = time.perf_counter()
                run = subprocess.run([str(part) for part in command])
                seconds[name].append(time.perf_counter() - start)
                # Status 1: a photo without a face.
                if run.returncode not in (0, 1):
                    raise RuntimeError(f"{name} ended with status {run.returncode}")
                with output.open() as stream:
                    rows = sum(1 for _ in stream) - 1
                if rows != count:
                    raise RuntimeError(f"{name} wrote {rows} rows of {count}")
        print(f"{count} photos, {options.threads} threads, {options.rounds} rounds")
        print("runner       seconds  photos/s  ratio to theirs")
        for name, found in seconds.items():
            peer = seconds["theirs-" + name.split("-")[1]]
            ratio = statistics.median(b / a for a, b in zip(found, peer))
            median = statistics.median(found)
            print(f"{name:11}  {median:7.2f}  {count / median:8.1f}  {ratio:15.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--theirs"]:
        model, yunet, folder, output, batch, threads, precision = sys.argv[2:]
        theirs(model, yunet, pathlib.Path(folder), pathlib.Path(output), int(batch), int(threads), precision)
    else:
        main()
