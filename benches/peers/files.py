"""From JPEG files on disk to CSV: ours against OpenCV and PyTorch, as in the authors' code.

Both run as whole processes, started alternately in every round and timed from start to end.
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


def theirs(model, folder, output, batch, threads):
    """Reads every file with OpenCV, scores batches with PyTorch in f32 and writes the CSV."""
    import cv2
    import numpy as np
    import torch
    from vit import QualityVit

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    saved = torch.load(model, weights_only=True)
    network = QualityVit(**saved["shape"]).eval()
    network.load_state_dict(saved["state"])
    files = sorted(folder.glob("*.jpg"))
    with output.open("w", newline="") as stream, torch.inference_mode():
        rows = csv.writer(stream)
        rows.writerow(["path", "score"])
        for first in range(0, len(files), batch):
            part = files[first : first + batch]
            images = [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in part]
            scores = network(torch.from_numpy(np.stack(images)))
            rows.writerows((file, float(score)) for file, score in zip(part, scores))


def write_images(folder, count):
    """Writes smooth random images with some noise, with the file size of aligned faces."""
    import cv2
    import numpy as np

    random = np.random.default_rng(2)
    for index in range(count):
        coarse = random.integers(0, 256, (9, 9, 3)).astype(np.uint8)
        smooth = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noisy = np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index:05}.jpg"), noisy, [cv2.IMWRITE_JPEG_QUALITY, 92])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the built program attn-fiqa")
    parser.add_argument("--shape", default="vit-s")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16", "int8"])
    parser.add_argument("--models", type=pathlib.Path, help="folder in which the models are kept and reused")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        here = pathlib.Path(temporary)
        models_folder = options.models or here
        models_folder.mkdir(exist_ok=True)
        import numpy as np
        from vit import SHAPES

        import models

        pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
        paths = models.write(models_folder, options.shape, pixels, int8=False)
        images = here / "images"
        images.mkdir()
        write_images(images, options.images)
        output = here / "scores.csv"
        commands = {
            f"ours-{precision}": [
                options.binary,
                "score",
                images,
                "--aligned",
                "--quiet",
                "--output",
                output,
                "--model",
                paths["ours"],
                "--heads",
                SHAPES[options.shape]["heads"],
                "--jobs",
                options.threads,
                "--precision",
                precision,
            ]
            for precision in options.precisions
        }
        commands["opencv+torch"] = [
            sys.executable,
            __file__,
            "--theirs",
            paths["torch-f32"],
            images,
            output,
            options.batch,
            options.threads,
        ]
        seconds = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                output.unlink(missing_ok=True)
                start = time.perf_counter()
                subprocess.run([str(part) for part in command], check=True)
                seconds[name].append(time.perf_counter() - start)
                with output.open() as stream:
                    rows = sum(1 for _ in stream) - 1
                if rows != options.images:
                    raise RuntimeError(f"{name} wrote {rows} rows of {options.images}")
        print(f"{options.shape}, {options.images} JPEG files, {options.threads} threads")
        print("runner        seconds  images/s  ratio to theirs")
        for name, found in seconds.items():
            ratio = statistics.median(b / a for a, b in zip(found, seconds["opencv+torch"]))
            median = statistics.median(found)
            print(f"{name:12}  {median:7.2f}  {options.images / median:8.1f}  {ratio:15.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--theirs"]:
        model, folder, output, batch, threads = sys.argv[2:]
        theirs(model, pathlib.Path(folder), pathlib.Path(output), int(batch), int(threads))
    else:
        main()
