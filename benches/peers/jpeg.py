"""JPEG decoding: ours against libjpeg-turbo (OpenCV's), alternating image by image.

`alone` is the decoder for ordinary files without the checks that precede it (markers, and a
pass over the entropy-coded data). Scaled decoding, which libjpeg-turbo has and ours does not, is
compared with libjpeg-turbo's full decoding. Everything runs on one thread. The minimum over
rounds is reported, since other work on the machine only adds time; the ratio of median to
minimum shows how much it added.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

import cv2
import numpy as np

HERE = pathlib.Path(__file__).parent
SIDES = {"112×112": 112, "512×512": 512, "2048×2048": 2048}
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


def write_images(folder, photo):
    """Writes the photo in each size and kind; returns the paths by name."""
    whole = cv2.imread(str(photo))
    samplings = {"4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}
    files = {}
    for size, side in SIDES.items():
        way = cv2.INTER_AREA if side < whole.shape[0] else cv2.INTER_CUBIC
        image = cv2.resize(whole, (side, side), interpolation=way)
        for kind, sampling, progressive in [
            ("baseline 4:2:0", "4:2:0", 0),
            ("baseline 4:4:4", "4:4:4", 0),
            ("progressive 4:2:0", "4:2:0", 1),
        ]:
            options = [
                cv2.IMWRITE_JPEG_QUALITY,
                90,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                samplings[sampling],
                cv2.IMWRITE_JPEG_PROGRESSIVE,
                progressive,
            ]
            path = folder / f"{len(files)}.jpg"
            cv2.imwrite(str(path), image, options)
            files[f"{size}, {kind}"] = path
    return files


class Ours:
    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def seconds(self, way, path):
        self.process.stdin.write(f"{way} {path}\n")
        return float(self.process.stdout.readline())


def theirs(path, flag=cv2.IMREAD_COLOR):
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    start = time.perf_counter()
    cv2.imdecode(encoded, flag)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True, help="the built example decode_speed")
    parser.add_argument(
        "--photo", type=pathlib.Path, default=HERE.parent.parent / "examples" / "astronaut.png"
    )
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    ours = Ours(options.binary)
    print(
        "| image | libjpeg-turbo | ours / it | alone / it | fraction of ours spent on checks | it scaled to 1/2, 1/4, 1/8 of the sides / full |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write_images(pathlib.Path(folder), options.photo).items():
            rounds = []
            for number in range(options.rounds + 1):
                row = [theirs(path), ours.seconds("ours", path), ours.seconds("alone", path)]
                row += [theirs(path, flag) for flag in REDUCED.values()]
                if number > 0:
                    rounds.append(row)
            whole, checked, alone, *scaled = (min(column) for column in zip(*rounds))
            spread = statistics.median(row[0] for row in rounds) / whole
            ratios = ", ".join(f"{seconds / whole:.2f}" for seconds in scaled)
            print(
                f"| {name} | {whole * 1e3:.2f} ms (median {spread:.1f}×) | {checked / whole:.2f} "
                f"| {alone / whole:.2f} | {1 - alone / checked:.0%} | {ratios} |"
            )


if __name__ == "__main__":
    main()
