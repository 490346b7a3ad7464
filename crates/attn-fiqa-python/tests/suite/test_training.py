"""What the training of the built-in model (`training/recogniser`) has in common with the program."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np
import pytest
from conftest import FACES, ROOT
from PIL import Image

LARGE = pytest.mark.skipif(
    "ATTN_FIQA_TORCH" not in os.environ,
    reason="ATTN_FIQA_TORCH is not set: PyTorch is large, so training is tested on request",
)
PARTS = ROOT / "models/attn-fiqa-t.safetensors", ROOT / "models/embedding/attn-fiqa-t-embedding.safetensors"


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """The training modules import each other by name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "training/recogniser"), *sys.path])


def rgb(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_yaw_matches_degrade_command(command, tmp_path):
    import yaw

    command("degrade", FACES / "astronaut.png", "--kinds", "yaw", "--levels", 6, "--output", tmp_path)
    face = rgb(FACES / "astronaut.png")
    away = {}
    for percent, degrees in zip((20, 40, 60, 80, 100), (15, 30, 45, 60, 75), strict=True):
        (made,) = tmp_path.glob(f"yaw-*{percent}/astronaut.png")
        for side in (-1, 1):
            ours = cv2.remap(face, yaw.origins(side * degrees), None, cv2.INTER_LINEAR)
            away[side, degrees] = np.abs(rgb(made).astype(int) - ours).mean()
    # The side depends on the seed and the name, not on the level. OpenCV interpolates in steps of
    # 1/32 of a pixel.
    side = min((-1, 1), key=lambda side: away[side, 15])
    for degrees in (15, 30, 45, 60, 75):
        assert away[side, degrees] < 0.3 < 3 < away[-side, degrees], away


@LARGE
def test_torch_yaw_matches_opencv_yaw():
    import augment
    import degrade
    import torch

    face = rgb(FACES / "astronaut.png")
    strength = torch.tensor([0.0, 0.2, 0.2, 0.6, 0.6, 1.0, 1.0])
    images = torch.from_numpy(face.copy()).permute(2, 0, 1).float().expand(len(strength), -1, -1, -1)
    torch.manual_seed(1)
    for made, by in zip(augment.yaw(images, strength), strength.tolist(), strict=True):
        ours = [degrade.yaw(face, by, Side(side))[0] for side in (-1, 1)]
        away = [np.abs(made.permute(1, 2, 0).numpy() - other).mean() for other in ours]
        assert min(away) < 0.5, away


class Side:
    """A random number generator that always gives one answer."""

    def __init__(self, answer):
        self.answer = answer

    def choice(self, answers):
        assert self.answer in answers
        return self.answer


@LARGE
def test_fine_tuning_starts_from_shipped_scores(crops, scorer):
    import export
    import torch
    from network import SIZES, Recogniser
    from space import unit
    from validation import to_input

    net = Recogniser(SIZES["attn-fiqa-t"])
    export.read(net, *PARTS)
    with torch.no_grad():
        embedding, per_patch, added, _ = net.eval()(to_input(torch.from_numpy(crops), "cpu"))
    expected = scorer.score_aligned(crops, color="rgb", embeddings=True)
    # The program may compute in bf16.
    assert (per_patch.mean(1) + added).numpy() == pytest.approx(expected.score, abs=0.05)
    cosine = (unit(embedding.numpy()) * unit(expected.embedding)).sum(1)
    assert cosine.min() > 0.999
    with pytest.raises(SystemExit, match="expected the whole network"):
        export.read(net, PARTS[0])


@LARGE
def test_recognition_target_is_calibrated():
    import torch
    from recognition import Recognition
    from space import unit

    random = np.random.default_rng(3)
    clean = 10 * unit(random.normal(size=(300, 64)))
    faces = random.integers(300, size=4000)
    # The more of an embedding is lost, the shorter it is.
    kept = random.random((4000, 1))
    damaged = kept * clean[faces] + (1 - kept) * 3 * unit(random.normal(size=(4000, 64)))
    found = Recognition.of(clean, damaged, clean[faces])
    similarities = unit(clean) @ unit(clean).T
    others = similarities[np.tril_indices(300, -1)]
    assert (others >= found.threshold).mean() == pytest.approx(1e-3, rel=0.05)
    said = found(torch.from_numpy(damaged)).numpy()
    hit = (unit(damaged) * unit(clean[faces])).sum(1) >= found.threshold
    # A maximum-likelihood fit is right on average, and here also in each half.
    assert said.mean() == pytest.approx(hit.mean(), abs=1e-6)
    for half in (said < 0.5, said >= 0.5):
        assert said[half].mean() == pytest.approx(hit[half].mean(), abs=0.05)
