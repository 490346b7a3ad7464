"""Prints the points from ONNX Runtime for the central 80x80 pixels of an example image, for a test.

The test is `crates/attn-fiqa/src/detect/landmark_tests.rs`.
"""

from pathlib import Path

import numpy as np
from geometry import VIEW
from measure import Points
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def main():
    crop = np.asarray(Image.open(ROOT / "examples/faces/astronaut.png").convert("RGB"))
    edge = (crop.shape[0] - VIEW) // 2
    view = crop[edge : edge + VIEW, edge : edge + VIEW]
    points = Points(ROOT / "models/landmarks.onnx").of([view])[0]
    print(", ".join(f"[{x:.4f}, {y:.4f}]" for x, y in points))


if __name__ == "__main__":
    main()
