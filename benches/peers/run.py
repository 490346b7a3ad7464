"""Ours in every precision against PyTorch: same weights, images and threads, in turn."""

import argparse
import contextlib
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import save_file

from vit import SHAPES, QualityVit


class Ours:
    def __init__(self, binary, checkpoint, heads, crops, batch, threads, precision):
        command = [binary, checkpoint, heads, crops, batch, threads, precision]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )

    def round(self):
        self.process.stdin.write("go\n")
        seconds, checksum = self.process.stdout.readline().split()
        return float(seconds), float(checksum)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Torch:
    def __init__(self, model, images, batch, bf16):
        self.model, self.parts, self.bf16 = model, images.split(batch), bf16

    def round(self):
        autocast = torch.autocast("cpu", torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        start, checksum = time.perf_counter(), 0.0
        with torch.inference_mode(), autocast:
            for part in self.parts:
                checksum += self.model(part).float().sum().item()
        return time.perf_counter() - start, checksum

    def close(self):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the built example `throughput`")
    parser.add_argument("--shapes", nargs="+", default=["vit-s"], choices=SHAPES)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    torch.manual_seed(1)
    pixels = np.random.default_rng(1).integers(0, 256, (options.images, 112, 112, 3), np.uint8)
    print("shape  threads  batch  runner      images/s  ratio to ours f32  mean score")
    with tempfile.TemporaryDirectory() as folder:
        crops = pathlib.Path(folder, "crops.rgb")
        crops.write_bytes(pixels.tobytes())
        for shape in options.shapes:
            model = QualityVit(**SHAPES[shape]).eval()
            checkpoint = pathlib.Path(folder, f"{shape}.safetensors")
            save_file(model.official_state(), checkpoint)
            for threads in options.threads:
                torch.set_num_threads(threads)
                for batch in options.batch:
                    images = torch.from_numpy(pixels)
                    runners = {
                        f"ours {precision}": Ours(
                            options.binary, checkpoint, SHAPES[shape]["heads"], crops, batch, threads, precision
                        )
                        for precision in ("f32", "bf16", "int8")
                    }
                    runners["torch f32"] = Torch(model, images, batch, bf16=False)
                    runners["torch bf16"] = Torch(model, images, batch, bf16=True)
                    for runner in runners.values():
                        runner.round()
                    rounds = [{name: runner.round() for name, runner in runners.items()} for _ in range(options.rounds)]
                    for name, runner in runners.items():
                        runner.close()
                        rate = options.images / statistics.median(r[name][0] for r in rounds)
                        ratio = statistics.median(r["ours f32"][0] / r[name][0] for r in rounds)
                        score = rounds[0][name][1] / options.images
                        print(
                            f"{shape:5}  {threads:7}  {batch:5}  {name:10}  {rate:8.1f}  {ratio:17.2f}  {score:.7f}",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
