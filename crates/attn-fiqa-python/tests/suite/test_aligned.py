"""Aligned faces to arrays."""

from __future__ import annotations

import json
import threading
import warnings

import attn_fiqa
import numpy as np
import pytest
from conftest import FACES


def test_aligned_scores_match_command_line(scorer, crops, names, command):
    rows = {}
    for line in command("score", FACES, "--aligned", "--format", "jsonl").splitlines():
        row = json.loads(line)
        rows[row["path"]] = row
    expected = [rows[str(name)] for name in names if name.suffix == ".png"]
    result = scorer.score_aligned(crops, color="rgb")
    assert len(result) == len(crops) == len(expected)
    assert result.score.dtype == result.quality.dtype == np.float32
    assert (result.score == np.asarray([row["score"] for row in expected], np.float32)).all()
    assert (result.quality == [row["quality"] for row in expected]).all()
    assert result.map is None and result.embedding is None
    assert "median quality" in repr(result)


def test_batch_and_single_scores_are_identical(scorer, crops):
    many = np.concatenate([crops] * 5)
    result = scorer.score_aligned(many, color="rgb", maps=True, embeddings=True)
    [face] = scorer.score(crops[3], color="rgb", maps=True, embeddings=True)
    at = 3 + len(crops) * 4
    assert result.score[at] == face.score and result.quality[at] == face.quality
    assert result.map.shape == (len(many), 14, 14) and (result.map[at] == face.map).all()
    assert result.embedding.shape == (len(many), 128)
    assert (result.embedding[at] == face.embedding).all()
    plain = scorer.score_aligned(many, color="rgb")
    assert (plain.score == result.score).all()


def test_input_layout_does_not_change_scores(scorer, crops):
    expected = scorer.score_aligned(crops, color="rgb").score
    read_only = crops.copy()
    read_only.flags.writeable = False
    for array, color in [
        (crops[..., ::-1], "bgr"),
        (np.asfortranarray(crops), "rgb"),
        (np.ascontiguousarray(crops[::-1])[::-1], "rgb"),
        (np.repeat(crops, 2, axis=0)[::2], "rgb"),
        (read_only, "rgb"),
        (list(crops), "rgb"),
        (tuple(crops), "rgb"),
    ]:
        assert (scorer.score_aligned(array, color=color).score == expected).all()


def test_empty_batch_gives_empty_arrays(scorer):
    result = scorer.score_aligned(
        np.empty((0, 112, 112, 3), np.uint8), color="rgb", maps=True, embeddings=True
    )
    assert len(result) == 0 and result.score.shape == (0,)
    assert result.map.shape == (0, 14, 14) and result.embedding.shape == (0, 128)


def test_several_methods(crops):
    scorer = attn_fiqa.Scorer(methods=["attn", "attn-calibrated"])
    result = scorer.score_aligned(crops, color="rgb")
    assert list(result.scores) == scorer.methods == ["attn", "attn-calibrated"]
    assert (result.scores["attn"] == result.score).all() and result.quality is None
    own = attn_fiqa.Scorer().score_aligned(crops, color="rgb")
    assert (result.scores["attn-calibrated"] == own.score).all()


def test_scorer_is_thread_safe(scorer, crops, photo):
    expected = scorer.score_aligned(crops, color="rgb").score
    whole = scorer.score(photo, color="rgb")[0].score
    wrong: list[object] = []

    def work() -> None:
        for _ in range(3):
            found = scorer.score_aligned(crops, color="rgb").score
            if not (found == expected).all() or scorer.score(photo, color="rgb")[0].score != whole:
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_score_aligned_releases_the_gil(scorer, crops):
    """Another thread keeps counting during one long call."""
    many = np.concatenate([crops[:25]] * 8)
    counted = 0
    ended = threading.Event()

    def count() -> None:
        nonlocal counted
        while not ended.wait(0.001):
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counted
    scorer.score_aligned(many, color="rgb")
    during = counted - before
    ended.set()
    thread.join()
    assert during > 20, during


def test_swapped_channels_warn_once(crops):
    clear = crops[:12]
    scorer = attn_fiqa.Scorer()
    with pytest.warns(attn_fiqa.AttnFiqaWarning, match="color='bgr' and passed as color='rgb'"):
        scorer.score_aligned(clear[..., ::-1], color="rgb")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer.score_aligned(clear[..., ::-1], color="rgb")
        attn_fiqa.Scorer().score_aligned(clear, color="rgb")
        grey = np.repeat(clear.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
        attn_fiqa.Scorer().score_aligned(grey, color="rgb")


def test_swapped_channels_warn_after_eight_images(photo):
    scorer = attn_fiqa.Scorer()
    with pytest.warns(attn_fiqa.AttnFiqaWarning, match="faces of 8 images"):
        for _ in range(8):
            scorer.score(photo, color="bgr")


def test_unaligned_crops_warn(photo, crops):
    large = photo[50:250, 120:320]
    rows = np.linspace(0, 199, 112).astype(int)
    loose = large[rows][:, rows]
    with pytest.warns(attn_fiqa.AttnFiqaWarning, match="not aligned faces"):
        attn_fiqa.Scorer().score_aligned(np.stack([loose] * 3), color="rgb")
    with pytest.warns(attn_fiqa.AttnFiqaWarning, match="not aligned faces"):
        attn_fiqa.Scorer().score_aligned(np.rot90(crops[:3], axes=(1, 2)), color="rgb")
