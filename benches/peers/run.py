"""Ours against PyTorch: same weights, same images, same threads, interleaved rounds."""

import argparse
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
    def __init__(self, binary, checkpoint, heads, crops, batch, threads):
        command = [binary, checkpoint, heads, crops, batch, threads]
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


def peer_round(model, images, batch):
    start, checksum = time.perf_counter(), 0.0
    with torch.inference_mode():
        for part in images.split(batch):
            checksum += model(part).sum().item()
    return time.perf_counter() - start, checksum


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
    print("shape  threads  batch  ours img/s  torch img/s  ours/torch  largest difference")
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
                    ours = Ours(options.binary, checkpoint, SHAPES[shape]["heads"], crops, batch, threads)
                    images = torch.from_numpy(pixels)
                    ours.round(), peer_round(model, images, batch)
                    rounds = [(ours.round(), peer_round(model, images, batch)) for _ in range(options.rounds)]
                    ours.close()
                    mine, peer = (
                        options.images / statistics.median(r[side][0] for r in rounds) for side in (0, 1)
                    )
                    ratio = statistics.median(peer[0] / mine[0] for mine, peer in rounds)
                    apart = max(abs(m[1] - p[1]) / options.images for m, p in rounds)
                    print(f"{shape:5}  {threads:7}  {batch:5}  {mine:10.1f}  {peer:11.1f}  {ratio:10.2f}  {apart:.1e}")


if __name__ == "__main__":
    main()
