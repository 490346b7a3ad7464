"""Ours in every precision against the peers: same weights, images and threads.

Every runner is a separate process, so that memory and time to the first score are its own, and
follows the protocol of `peer.py`. Rounds are interleaved. Prints medians, and the median of the
ratios within a round.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from vit import SHAPES, operations

import models

HERE = pathlib.Path(__file__).parent
OURS = ["ours-f32", "ours-bf16x2", "ours-bf16", "ours-int8"]
COMPARED_WITH = {"bf16x2": "f32"}
"""The precision to compare with, where it is not the same one."""
PEERS = [
    "torch-f32",
    "torch-bf16",
    "onnxruntime-f32",
    "onnxruntime-int8",
    "openvino-f32",
    "openvino-bf16",
    "openvino-int8",
    "rten-f32",
    "candle-f32",
]
PAUSE_SECONDS = 0.15
"""Pause between two runners in seconds, so that the threads of the previous one stop spinning."""


class Runner:
    """A runner process that follows the protocol of `peer.py`."""

    def __init__(self, command):
        start = time.perf_counter()
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.first_score = float(self.line().removeprefix("ready "))
        self.seconds_to_first = time.perf_counter() - start

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command[:2]} ended with {self.process.wait()}")
        return line

    def round(self, batch):
        self.process.stdin.write(f"{batch}\n")
        seconds, total = self.line().split()
        time.sleep(PAUSE_SECONDS)
        return float(seconds), float(total)

    def peak_memory(self):
        """Peak resident memory in MB; None where the system does not report it."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def command_of(name, paths, crops, threads, heads, options):
    if name in OURS:
        return [options.binary, paths["ours"], heads, crops, threads, name.removeprefix("ours-")]
    if name in ("rten-f32", "candle-f32"):
        return [options.rust_peers, name, paths[name], crops, threads, heads]
    return [sys.executable, HERE / "peer.py", name, paths[name], crops, threads]


def peaks(options, threads):
    """Measured peaks of the machine in Gop/s by precision, with this many busy threads."""
    text = subprocess.run([options.peak, str(threads)], capture_output=True, text=True, check=True)
    return {name: float(rate) for name, rate in (line.split() for line in text.stdout.splitlines())}


def measure(shape, paths, threads, options, crops):
    heads = SHAPES[shape]["heads"]
    runners = {}
    for name in options.runners:
        if name == "ours-f32" or name in paths or name in OURS:
            runners[name] = Runner(command_of(name, paths, crops, threads, heads, options))
            time.sleep(PAUSE_SECONDS)
    for batch in options.batch:
        for runner in runners.values():
            runner.round(batch)
        rounds, peak_rounds = [], []
        for _ in range(options.rounds):
            peak_rounds.append(peaks(options, threads))
            rounds.append({name: runner.round(batch) for name, runner in runners.items()})
        peak = {p: statistics.median(found[p] for found in peak_rounds) for p in peak_rounds[0]}
        print(f"# peak with {threads} threads, Gop/s: " + ", ".join(f"{p} {r:.0f}" for p, r in peak.items()))
        for name, runner in runners.items():
            rate = options.images / statistics.median(r[name][0] for r in rounds)
            precision = name.rsplit("-", 1)[1]
            own = f"ours-{COMPARED_WITH.get(precision, precision)}"
            ratio = (
                statistics.median(r[own][0] / r[name][0] for r in rounds) if own in runners else float("nan")
            )
            share = rate * operations(**SHAPES[shape]) / 1e9 / peak[precision]
            score = rounds[0][name][1] / options.images
            memory = runner.peak_memory()
            print(
                f"{shape:5}  {threads:7}  {batch:5}  {name:16}  {rate:8.1f}  {ratio:5.2f}  {share:5.0%}"
                f"  {memory if memory else 0:6.0f}  {runner.seconds_to_first:6.2f}  {score:.6f}",
                flush=True,
            )
    for runner in runners.values():
        runner.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the built example `throughput`")
    parser.add_argument("--peak", required=True, help="the built example `peak`")
    parser.add_argument("--rust-peers", required=True, help="the built program of `rust/`")
    parser.add_argument("--shapes", nargs="+", default=["vit-s"], choices=SHAPES)
    parser.add_argument("--runners", nargs="+", default=OURS + PEERS, choices=OURS + PEERS)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--models", type=pathlib.Path, help="folder in which the models are kept and reused")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = options.models or pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        pixels = np.random.default_rng(1).integers(0, 256, (options.images, 112, 112, 3), np.uint8)
        crops = folder / "crops.rgb"
        crops.write_bytes(pixels.tobytes())
        int8 = any(name.endswith("int8") and name in PEERS for name in options.runners)
        written = {shape: models.write(folder, shape, pixels, int8) for shape in options.shapes}
        print("shape  threads  batch  runner            images/s  ratio  share  MB peak  first s  mean score")
        for shape in options.shapes:
            for threads in options.threads:
                measure(shape, written[shape], threads, options, crops)


if __name__ == "__main__":
    main()
