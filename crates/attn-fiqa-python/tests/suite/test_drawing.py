"""Faces and maps as arrays."""

from __future__ import annotations

import attn_fiqa
import numpy as np
import pytest
from conftest import PHOTO
from PIL import Image


def test_faces_are_drawn_into_a_copy(scorer, photo):
    faces = scorer.score(photo, color="rgb")
    before = photo.copy()
    drawn = attn_fiqa.draw(photo, faces, color="rgb")
    assert (photo == before).all() and drawn.shape == photo.shape and drawn.dtype == np.uint8
    changed = np.argwhere((drawn != photo).any(-1))
    left, top, right, bottom = faces[0].bbox
    assert abs(changed.min(0) - [top, left]).max() <= 2
    assert abs(changed.max(0) - [bottom, right]).max() <= 2
    assert (attn_fiqa.draw(photo[..., ::-1], faces[0], color="bgr")[..., ::-1] == drawn).all()
    assert (attn_fiqa.draw(PHOTO, faces) == drawn).all()
    points = scorer.score(photo, color="rgb", landmarks=faces[0].landmarks)
    only_points = attn_fiqa.draw(photo, points, color="rgb")
    assert 0 < (only_points != photo).sum() < (drawn != photo).sum()
    assert (attn_fiqa.draw(photo, [], color="rgb") == photo).all()


def test_overlay_matches_command_line(scorer, command, crops, tmp_path):
    Image.fromarray(crops[0]).save(tmp_path / "face.png")
    [face] = scorer.score(tmp_path / "face.png", maps=True)
    command("map", tmp_path / "face.png", "--output", tmp_path / "maps", "--range", "per-image")
    made = [np.asarray(Image.open(p).convert("RGB")) for p in (tmp_path / "maps").rglob("*.png")]
    own = attn_fiqa.overlay(face.crop, face.map, color="rgb")
    assert any(other.shape == own.shape and (other == own).all() for other in made)
    blue = attn_fiqa.overlay(face.crop[..., ::-1], face.map, color="bgr", colormap="viridis")
    assert (blue[..., ::-1] == own).all()
    jet = attn_fiqa.overlay(face.crop, face.map, color="rgb", colormap="jet", alpha=1.0)
    assert not (jet == own).all()
    low = attn_fiqa.overlay(face.crop, face.map, color="rgb", range=(100.0, 200.0), alpha=1.0)
    assert len(np.unique(low.reshape(-1, 3), axis=0)) == 1, "all below the range"


def test_non_finite_map_is_rejected(crops):
    with pytest.raises(attn_fiqa.RequestError):
        attn_fiqa.overlay(crops[0], [[1.0, float("nan")]], color="rgb")
