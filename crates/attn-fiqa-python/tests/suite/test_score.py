"""Images of every kind to faces, bit for bit as on the command line."""

from __future__ import annotations

import io
import json
import math
import pathlib
import pickle
import warnings

import attn_fiqa
import numpy as np
import pytest
from conftest import FACES, PHOTO
from PIL import Image


def rows_of(command, *arguments):
    return [json.loads(line) for line in command(*arguments, "--format", "jsonl").splitlines()]


def test_photo_scores_match_command_line(scorer, command):
    [row] = rows_of(command, "score", PHOTO)
    [face] = scorer.score(PHOTO)
    assert np.float32(face.score) == np.float32(row["score"])
    assert face.quality == row["quality"]
    left, top, right, bottom = face.bbox
    box = [np.float32(row[f"box_{name}"]) for name in ("x", "y", "width", "height")]
    assert [left, top] == box[:2]
    assert [right, bottom] == [box[0] + box[2], box[1] + box[3]]
    assert np.float32(face.roll) == np.float32(row["roll"])
    assert np.float32(face.yaw) == np.float32(row["yaw"])


def test_methods_maps_and_embeddings_match_command_line(command):
    methods = ["attn", "attn-calibrated", "attn-max@block=3"]
    rows = rows_of(command, "score", FACES, "--method", ",".join(methods), "--columns", "map,embedding")
    scorer = attn_fiqa.Scorer(methods=methods)
    found = list(scorer.score_files(FACES, maps=True, embeddings=True))
    assert len(found) == len(rows) == 36
    for row, result in zip(rows, found):
        face = result.face
        assert result.path == row["path"]
        assert np.float32(face.score) == np.float32(row["score"])
        maximum = "attn-max@block=3"
        assert np.float32(face.scores[maximum]) == np.float32(row[maximum])
        received = row.get("received", row.get("map"))
        assert (face.map.ravel() == np.asarray(received, np.float32)).all()
        assert (face.embedding == np.asarray(row["embedding"], np.float32)).all()
        # The model is calibrated for another method than the first.
        assert face.quality is None and face.band is None


def test_all_input_types_give_identical_scores(scorer, photo):
    data = PHOTO.read_bytes()

    class Interface:
        __array_interface__ = photo.__array_interface__

    class DLPack:
        def __dlpack__(self, **named):
            return photo.copy().__dlpack__(**named)

        def __dlpack_device__(self):
            return photo.__dlpack_device__()

    bgr = photo[..., ::-1]
    read_only = photo.copy()
    read_only.flags.writeable = False
    ways = [
        (str(PHOTO), None),
        (PHOTO, None),
        (data, None),
        (bytearray(data), None),
        (memoryview(data), None),
        (io.BytesIO(data), None),
        (Image.open(PHOTO), None),
        (Image.open(PHOTO).convert("RGBA"), None),
        (photo, "rgb"),
        (bgr, "bgr"),
        (np.ascontiguousarray(bgr), "bgr"),
        (np.asfortranarray(photo), "rgb"),
        (photo[::-1].copy()[::-1], "rgb"),
        (read_only, "rgb"),
        (Interface(), "rgb"),
        (DLPack(), "rgb"),
    ]
    with PHOTO.open("rb") as file:
        expected = scorer.score(file)[0].score
    for image, color in ways:
        [face] = scorer.score(image, color=color)
        assert face.score == expected, type(image)


def test_no_face_gives_empty_list_or_strict_error(scorer):
    wall = np.full((200, 300, 3), 90, np.uint8)
    assert scorer.score(wall, color="rgb") == []
    with pytest.raises(attn_fiqa.NoFaceError) as caught:
        scorer.score(wall, color="rgb", strict=True)
    assert caught.value.status == "no-face"
    assert isinstance(caught.value, attn_fiqa.ImageError)


def test_face_attributes_and_representations(scorer):
    [face] = scorer.score(PHOTO)
    assert face.map is None and face.embedding is None
    assert face.bbox.shape == (4,) and face.landmarks.shape == (5, 2)
    assert face.crop.shape == (112, 112, 3) and face.crop.dtype == np.uint8
    assert face.crop_origin == "refined" and face.status == "ok" and face.message is None
    assert 0.9 < face.confidence <= 1 and 0 <= face.match_probability <= 1
    assert face.inter_eye_distance == pytest.approx(
        np.linalg.norm(face.landmarks[1] - face.landmarks[0]), rel=1e-6
    )
    assert face.scores == {"attn-calibrated": face.score}
    assert len(face.causes) < 3 and (face.main_cause is None) == (not face.causes)
    assert "quality=" in repr(face) and face.band in repr(face)
    assert json.loads(json.dumps(face.to_dict()))["quality"] == face.quality
    assert face._repr_html_().count("<img") == 1
    [shown] = scorer.score(PHOTO, maps=True)
    assert shown._repr_html_().count("<img") == 3
    assert shown.map.mean() == pytest.approx(face.score, abs=1e-4)


def test_causes_of_a_dark_face(scorer):
    crop = scorer.score(PHOTO)[0].crop
    dark = (crop * 0.04).astype(np.uint8)
    [face] = scorer.score(dark, color="rgb")
    assert face.main_cause == "too_dark"
    names = [name for name, _ in face.causes]
    strengths = [strength for _, strength in face.causes]
    assert "too_dark" in names and strengths == sorted(strengths, reverse=True)
    assert all(0 < strength <= 1 for strength in strengths)
    assert face.to_dict()["main_cause"] == "too_dark"
    assert pickle.loads(pickle.dumps(face)).causes == face.causes


def test_faces_and_rows_pickle(scorer):
    [face] = scorer.score(PHOTO, maps=True, embeddings=True)
    copy = pickle.loads(pickle.dumps(face))
    assert copy.to_dict() == face.to_dict()
    assert (copy.crop == face.crop).all()
    [row] = scorer.score_files(PHOTO)
    assert pickle.loads(pickle.dumps(row)).to_dict() == row.to_dict()


def test_given_landmarks_keep_order_and_reproduce_crop(scorer, photo):
    [face] = scorer.score(photo, color="rgb")
    small = (face.landmarks - face.landmarks.mean(0)) * 0.8 + face.landmarks.mean(0)
    points = np.stack([small, face.landmarks])
    first, second = scorer.score(photo, color="rgb", landmarks=points)
    assert (first.index, second.index) == (0, 1)
    assert first.inter_eye_distance < second.inter_eye_distance
    assert second.score == face.score and (second.crop == face.crop).all()
    assert first.crop_origin == "landmarks" and first.bbox is None and first.confidence is None
    [one] = scorer.score(photo, color="rgb", landmarks=face.landmarks.tolist())
    assert one.score == face.score
    crops = attn_fiqa.align(photo, points, color="rgb")
    assert crops.shape == (2, 112, 112, 3) and (crops[1] == face.crop).all()
    [blue] = attn_fiqa.align(photo[..., ::-1], points[1:], color="bgr")
    assert (blue[..., ::-1] == face.crop).all(), "crops have the colours of the array"
    assert attn_fiqa.align(PHOTO, face.landmarks, size=224).shape == (224, 224, 3)


def test_mirrored_landmarks_give_face_without_score(scorer, photo):
    [face] = scorer.score(photo, color="rgb")
    mirrored = face.landmarks[[1, 0, 2, 4, 3]]
    good, bad = scorer.score(photo, color="rgb", landmarks=np.stack([face.landmarks, mirrored]))
    assert good.status == "ok"
    assert bad.status == "bad-landmarks" and bad.message and math.isnan(bad.score)
    assert bad.quality is None and bad.crop is None and bad._repr_html_()
    with pytest.raises(attn_fiqa.ImageError, match="."):
        attn_fiqa.align(photo, mirrored, color="rgb")


def test_face_selection_options(scorer):
    assert scorer.score(PHOTO, max_faces=1) != []
    assert scorer.score(PHOTO, min_inter_eye_distance=60) == []
    assert scorer.score(PHOTO, min_confidence=1.0) == []


def test_aligned_crop_is_used_unchanged(scorer, crops):
    [face] = scorer.score(crops[0], color="rgb")
    assert face.crop_origin == "aligned" and face.bbox is None and face.landmarks is None
    assert face.roll is None and (face.crop == crops[0]).all()


def test_exif_orientation_is_applied_or_warned_about(scorer, photo, tmp_path):
    path = tmp_path / "turned.png"
    turned = Image.fromarray(np.rot90(photo).copy())
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(path, exif=exif)
    [face] = scorer.score(path)
    assert abs(face.roll) < 45
    assert any("orientation" in note for note in face.notes)
    with pytest.warns(attn_fiqa.AttnFiqaWarning, match="exif_transpose"):
        scorer.score(Image.open(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from PIL import ImageOps

        [upright] = scorer.score(ImageOps.exif_transpose(Image.open(path)))
    assert upright.score == face.score


def test_model_file_is_pickled_by_absolute_path(command, tmp_path, monkeypatch):
    small = tmp_path / "small.safetensors"
    command("model", "convert", "built-in", small, "--dtype", "f16", "--quality-only")
    monkeypatch.chdir(tmp_path)
    scorer = attn_fiqa.Scorer("small.safetensors", precision="f32", threads=1)
    assert scorer.threads == 1 and scorer.precision == "f32" and scorer.crop_size == 112
    [face] = scorer.score(PHOTO)
    assert face.score == attn_fiqa.Scorer().score(PHOTO)[0].score
    with pytest.raises(attn_fiqa.RequestError, match="full checkpoint"):
        scorer.score(PHOTO, embeddings=True)
    monkeypatch.chdir("/")
    copy = pickle.loads(pickle.dumps(scorer))
    assert copy.model == str(small) and copy.threads == 1
    assert copy.score(PHOTO)[0].score == face.score


def test_custom_detector_is_used(scorer):
    shared = FACES.parents[2] / "shared/data/models/yunet_n_dynamic.onnx"
    if not shared.exists():
        pytest.skip("no ../shared/data/models")
    other = pickle.loads(pickle.dumps(attn_fiqa.Scorer(detector=pathlib.Path(shared))))
    [face] = other.score(PHOTO)
    [own] = scorer.score(PHOTO)
    assert face.crop_origin == "detected"
    assert abs(face.landmarks - own.landmarks).max() < 5
