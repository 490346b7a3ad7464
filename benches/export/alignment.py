"""Runs the alignment code in docs/deploy.md and compares the results with the program's crops."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SIDE = 112


def block(language):
    """The code in this language on the page that defines the alignment."""
    page = (ROOT / "docs/deploy.md").read_text()
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return next(code for code in blocks if "align(" in code)


def in_python(pixels, points, folder):
    names = {}
    exec(block("python"), names)
    return names["align"](pixels, points)


def in_javascript(pixels, points, folder):
    if not shutil.which("node"):
        return None
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    (folder / "pixels").write_bytes(rgba.tobytes())
    call = f"""
import {{ readFileSync, writeFileSync }} from 'node:fs';
const data = readFileSync({json.dumps(str(folder / "pixels"))});
const image = {{ data, width: {pixels.shape[1]}, height: {pixels.shape[0]} }};
const planes = align(image, {json.dumps(np.asarray(points).tolist())});
writeFileSync({json.dumps(str(folder / "planes"))}, Buffer.from(planes.buffer));
"""
    (folder / "align.mjs").write_text(block("js") + call)
    subprocess.run(["node", folder / "align.mjs"], check=True)
    return planes(folder / "planes")


def in_cpp(pixels, points, folder):
    if not shutil.which("g++"):
        return None
    (folder / "pixels").write_bytes(np.ascontiguousarray(pixels).tobytes())
    listed = ",".join(f"{{{x:.9g},{y:.9g}}}" for x, y in points)
    call = f"""
#include <fstream>
#include <iterator>
int main() {{
  std::ifstream file({json.dumps(str(folder / "pixels"))}, std::ios::binary);
  std::vector<uint8_t> rgb((std::istreambuf_iterator<char>(file)), {{}});
  const double points[5][2] = {{{listed}}};
  std::vector<float> planes = align(rgb.data(), {pixels.shape[1]}, {pixels.shape[0]}, points);
  std::ofstream({json.dumps(str(folder / "planes"))}, std::ios::binary)
      .write(reinterpret_cast<char*>(planes.data()), planes.size() * 4);
}}
"""
    (folder / "align.cpp").write_text(block("cpp") + call)
    command = ["g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]
    subprocess.run([*command, folder / "align", folder / "align.cpp"], check=True)
    subprocess.run([folder / "align"], check=True)
    return planes(folder / "planes")


def planes(path):
    return np.fromfile(path, np.float32).reshape(3, SIDE, SIDE).transpose(1, 2, 0)


def compare(program, folder, photo):
    """Prints the pixel differences; `program(*words)` runs the program and returns its output."""
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    print("\n| alignment | photo | mean difference of levels | largest |")
    print("|---|---|---|---|")
    # Unchanged, and enlarged so that a crop is less than half the size of the face.
    for name, size in (("512×512", None), ("1536×1536", (1536, 1536))):
        file = folder / "photo.png"
        image = Image.fromarray(pixels)
        image = image.resize(size, Image.Resampling.BICUBIC) if size else image
        image.save(file)
        row = json.loads(program("detect", file, "--format", "jsonl").splitlines()[0])
        landmarks = np.array([[row[f"{point}_{axis}"] for axis in "xy"] for point in POINTS])
        shutil.rmtree(folder / "crops", ignore_errors=True)
        program("crop", file, "--output", folder / "crops")
        (crop,) = (folder / "crops").glob("*.png")
        wanted = np.asarray(Image.open(crop).convert("RGB")).astype(np.float32)
        for language, align in LANGUAGES.items():
            found = align(np.asarray(image), landmarks, folder)
            if found is None:
                print(f"{language}: not there, so not compared", file=sys.stderr)
                continue
            off = np.abs(found.astype(np.float32) - wanted)
            print(f"| {language} | {name} | {off.mean():.3f} | {off.max():.0f} |")


POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
LANGUAGES = {"Python": in_python, "JavaScript": in_javascript, "C++": in_cpp}
