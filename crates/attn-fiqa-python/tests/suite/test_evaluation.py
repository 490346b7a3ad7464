"""Measurements on arrays, with the same numbers as the command line."""

from __future__ import annotations

import csv
import io

import attn_fiqa
import numpy as np
import pytest
from attn_fiqa import evaluation


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    # Each pair once.
    first, second = np.triu_indices(302, 1)
    chosen = rng.choice(len(first), 3000, replace=False)
    pairs = np.stack([first[chosen], second[chosen]], axis=1)
    qualities = rng.uniform(0, 100, size=302).round(1)
    mated = np.arange(3000) % 2 == 0
    noise = rng.normal(0, 0.15, size=3000)
    similarities = np.clip(np.where(mated, qualities[pairs].min(1) / 120, 0) + noise, -1, 1)
    return qualities, pairs, similarities, mated


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    qualities, pairs, similarities, mated = data
    folder = tmp_path_factory.mktemp("evaluation")
    with (folder / "quality.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "score"])
        writer.writerows((f"i{index}.png", value) for index, value in enumerate(qualities.tolist()))
    with (folder / "pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "mated", "score"])
        for (a, b), score, label in zip(pairs.tolist(), similarities.tolist(), mated.tolist()):
            writer.writerow([f"i{a}.png", f"i{b}.png", int(label), score])
    return folder


def test_edc_curve_and_pauc(data):
    qualities, pairs, similarities, mated = data
    curve = evaluation.edc(qualities[pairs], similarities, mated, fmr=1e-2)
    assert curve.discard.shape == curve.fnmr.shape == curve.fmr.shape == curve.threshold.shape
    assert curve.discard[:3] == pytest.approx([0, 0.05, 0.1])
    lower = evaluation.edc(qualities[pairs].min(1), similarities, mated, fmr=1e-2)
    assert (lower.fnmr == curve.fnmr).all()
    area = np.trapezoid(curve.fnmr[:7], curve.discard[:7])
    assert curve.pauc(0.3) == pytest.approx(area, rel=1e-12)
    assert evaluation.pauc(qualities[pairs], similarities, mated, fmr=1e-2) == curve.pauc(0.3)
    # A quality that follows the scores discards errors.
    assert curve.fnmr[10] < curve.fnmr[0]
    assert curve.protocol == "crfiqa" and "FMR" in curve.target and "Curve" in repr(curve)
    assert curve.auc() > curve.pauc(0.3)


def test_protocols_and_targets(data):
    qualities, pairs, similarities, mated = data
    iso = evaluation.edc(qualities[pairs], similarities, mated, protocol="iso", fnmr=0.1)
    assert iso.fnmr[0] == pytest.approx(0.1, abs=0.01) and iso.discard[-1] == 1
    nist = evaluation.edc(qualities[pairs], similarities, mated, protocol="nist", threshold=0.3)
    assert nist.fnmr[0] == pytest.approx((similarities[mated] < 0.3).mean())
    distance = evaluation.edc(
        qualities[pairs], -similarities, mated, protocol="nist", threshold=-0.3, scale="distance"
    )
    assert (distance.fnmr == nist.fnmr).all()
    unresolved = evaluation.edc(qualities[pairs], similarities, mated, fmr=1e-6)
    assert unresolved.warnings and "resolved" in unresolved.warnings[0]


def test_advice(data):
    qualities, pairs, similarities, mated = data
    advice = evaluation.advise(qualities, pairs, similarities, mated, reject=0.1, fmr=1e-2)
    assert advice.images == 302 and advice.rejected == 30
    assert advice.fnmr_after < advice.fnmr_before and not advice.unresolved
    assert advice.reject_below == np.sort(qualities)[30]
    assert advice.gain_interval is None and "images are rejected" in str(advice)
    below = evaluation.advise(
        qualities, pairs, similarities, mated, below=advice.reject_below, fmr=1e-2, bootstrap=50
    )
    assert below.fnmr_after == advice.fnmr_after
    low, high = below.fnmr_before_interval
    assert low <= below.fnmr_before <= high
    assert below.gain_interval[0] > 0 and below.fmr_after <= 0.01 >= below.fmr_before
    assert below.fnmr_after_interval is not None


def test_pauc_matches_command_line(data, files, command):
    qualities, pairs, similarities, mated = data
    out = command(
        "edc", "--pairs", files / "pairs.csv", "--quality", files / "quality.csv", "--fmr", "1e-2",
        "--protocol", "crfiqa",
    )  # fmt: skip
    own = evaluation.pauc(qualities[pairs], similarities, mated, fmr=1e-2)
    rows = list(csv.DictReader(io.StringIO(out)))
    printed = [row["pauc_x1000"] for row in rows if row["pauc_x1000"]]
    assert f"{1000 * own:.4f}" in printed


def test_invalid_arrays_are_rejected(data):
    qualities, pairs, similarities, mated = data
    for arguments, says in [
        ((qualities[pairs], similarities[:-1], mated), "each needs exactly one"),
        ((qualities[pairs], similarities, np.ones(3000)), "all 3000 comparisons are mated"),
        ((qualities[pairs], similarities * 3, mated), "not a cosine"),
        ((qualities[pairs], similarities, np.full(3000, 2)), r"mated\[0\] is 2"),
        ((qualities[pairs][:, :1], similarities, mated), r"\(3000, 1\)"),
        ((np.full(3000, np.nan), similarities, mated), "not a number"),
        ((["a"] * 3000, similarities, mated), "expected qualities as numbers"),
    ]:
        with pytest.raises(attn_fiqa.RequestError, match=says):
            evaluation.edc(*arguments)
    with pytest.raises(attn_fiqa.RequestError, match="but there are 300 images"):
        evaluation.advise(qualities[:300], pairs, similarities, mated, reject=0.1)
    with pytest.raises(attn_fiqa.RequestError, match="give one of the two"):
        evaluation.advise(qualities, pairs, similarities, mated)
    with pytest.raises(attn_fiqa.RequestError, match="give one of them"):
        evaluation.edc(qualities[pairs], similarities, mated, fmr=0.1, fnmr=0.1)
