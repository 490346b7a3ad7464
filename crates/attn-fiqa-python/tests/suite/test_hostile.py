"""Arguments that nobody should pass: an exception of the package or a TypeError, never a panic."""

from __future__ import annotations

import itertools
import random
import threading

import attn_fiqa
import numpy as np
import pytest
from attn_fiqa import evaluation
from PIL import Image

#: What a wrong argument may raise. A panic is a BaseException, and none of these.
ALLOWED = (attn_fiqa.AttnFiqaError, TypeError)

OBJECTS = [
    None, True, 0, -1, 3.5, float("nan"), 10**30, "", "no such file", "\0", b"", b"\x89PNG", [],
    {}, (), object(), Ellipsis, [[1, 2]], range(3), "rgb", np.nan, np.float32(1), np.array(None),
    np.array([], np.uint8), np.zeros((0, 0, 3), np.uint8), np.zeros((5, 0, 3), np.uint8),
    np.zeros((1, 1, 3), np.uint8), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8),
    np.zeros((3, 9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((9, 9, 3), bool),
    np.zeros((9, 9, 3), np.uint16), np.zeros((9, 9, 3), ">u2"), np.zeros((9, 9, 3), np.int8),
    np.zeros((9, 9, 3), complex), np.zeros((9, 9, 3), object), np.zeros((9, 9, 3), "M8[s]"),
    np.zeros((9, 9, 3), [("a", np.uint8)]), np.zeros((1, 112, 112, 3), np.uint8),
    np.zeros((1, 3, 112, 112), np.uint8), np.zeros((2,) * 32, np.uint8),
    np.zeros((5, 2), np.float64), np.full((5, 2), np.inf), np.full((2, 5, 2), np.nan),
    np.broadcast_to(np.uint8(7), (10**6, 10**6, 3)), np.broadcast_to(np.uint8(7), (1, 10**9, 3)),
    np.ma.zeros((9, 9, 3), np.uint8), Image.new("RGB", (9, 9)), Image.new("I;16", (9, 9)),
    Image.new("F", (9, 9)), Image.new("1", (9, 9)), np.zeros((12, 9, 3), np.uint8)[::-2, ::-3],
    "x" * 5000, b"x" * 5000, float("inf"), np.datetime64("now"), type, lambda: 3,
]  # fmt: skip


class Broken:
    """Every special method fails or lies."""

    def __init__(self, what):
        self.what = what

    def __getattr__(self, name):
        if name == self.what:
            if name == "__array_interface__":
                return {"shape": (9, 9, 3), "typestr": "|u1", "version": 3}
            return lambda *a, **k: 3
        raise AttributeError(name)

    def __repr__(self):
        raise ValueError("no repr")


OBJECTS += [Broken(name) for name in ("read", "__fspath__", "__array_interface__", "__dlpack__", "x")]


class FailingFile:
    def read(self):
        raise OSError("disk on fire")


def attempt(call, *arguments, **named):
    try:
        return call(*arguments, **named)
    except ALLOWED as error:
        assert "panick" not in str(error) and "internal error" not in str(error), error
    return None


def test_arbitrary_images_do_not_panic(scorer):
    for image, color in itertools.product(OBJECTS, (None, "rgb", "bgr", "RGB", 3)):
        attempt(scorer.score, image, color=color)
    for image, color in itertools.product(OBJECTS, ("rgb", None)):
        attempt(scorer.score_aligned, image, color=color)
        attempt(attn_fiqa.align, image, [[0, 0]] * 5, color=color)
        attempt(attn_fiqa.draw, image, [], color=color)
        attempt(attn_fiqa.overlay, image, np.zeros((3, 3)), color=color)


def test_arbitrary_arguments_do_not_panic(scorer, photo):
    named = ["landmarks", "max_faces", "min_confidence", "min_inter_eye_distance", "maps", "strict"]
    small = np.ascontiguousarray(photo[::8, ::8])
    for value in OBJECTS:
        for name in named:
            attempt(scorer.score, small, color="rgb", **{name: value})
        attempt(attn_fiqa.align, small, value, color="rgb")
        attempt(attn_fiqa.align, small, np.ones((5, 2)), color="rgb", size=value)
        attempt(attn_fiqa.draw, small, value, color="rgb")
        attempt(attn_fiqa.overlay, small, value, color="rgb")
        for name in ("colormap", "alpha", "range"):
            attempt(attn_fiqa.overlay, small, np.eye(3), color="rgb", **{name: value})
        for name in ("batch", "max_memory", "on_error", "recursive", "max_faces"):
            attempt(lambda: list(scorer.score_files("none", **{name: value})))
        names = ["model", "detector", "precision", "methods"]
        names += ["preset", "heads", "activation", "tokens", "landmark_bias"]
        for name in names:
            attempt(attn_fiqa.Scorer, **{name: value})
        # More threads than the machine has are refused; a few are started.
        if not isinstance(value, int) or not 1 <= value <= 512:
            attempt(attn_fiqa.Scorer, threads=value)


def test_random_shapes_types_and_strides(scorer):
    rng = random.Random(1)
    types = [np.uint8] * 6 + [np.int8, np.float32, np.uint16, bool]
    for _ in range(150):
        shape = [rng.choice([0, 1, 2, 3, 3, 3, 4, 7, 112]) for _ in range(rng.randint(0, 4))]
        array = np.zeros(shape, rng.choice(types))
        if array.ndim and rng.random() < 0.5:
            array = array[tuple(slice(None, None, rng.choice([1, 2, -1, -3])) for _ in shape)]
        if rng.random() < 0.3:
            array = array.T
        if rng.random() < 0.3:
            array = np.asfortranarray(array)
        attempt(scorer.score, array, color="rgb")
        attempt(scorer.score_aligned, array, color="bgr")
        attempt(scorer.score, np.zeros((60, 60, 3), np.uint8), color="rgb", landmarks=array)


def test_arbitrary_evaluation_arguments_do_not_panic():
    good = ([0.1, 0.5, 0.9, 0.3], [0.9, 0.1, 0.8, 0.2], [1, 0, 1, 0])
    for value, place in itertools.product(OBJECTS, range(3)):
        arguments = list(good)
        arguments[place] = value
        attempt(evaluation.edc, *arguments)
        attempt(evaluation.advise, arguments[0], [[0, 1]] * 4, *arguments[1:], reject=0.1)
        attempt(evaluation.advise, good[0], value, *good[1:], reject=0.1)
    for value in OBJECTS:
        for name in ("protocol", "fmr", "fnmr", "threshold", "scale"):
            attempt(evaluation.edc, *good, **{name: value})
        attempt(evaluation.pauc, *good, limit=value)
        for name in ("reject", "below", "fmr", "seed"):
            attempt(evaluation.advise, good[0], [[0, 1]] * 4, *good[1:], **{name: value})


def test_exceptions_of_caller_objects_propagate(scorer):
    with pytest.raises(OSError, match="disk on fire"):
        scorer.score(FailingFile())


def test_concurrent_writes_to_the_array_are_safe(scorer, photo):
    shared = photo.copy()
    ended = threading.Event()

    def write() -> None:
        rng = np.random.default_rng(0)
        while not ended.is_set():
            shared[:] = rng.integers(0, 255, (1, 1, 3), np.uint8)
            shared[:] = photo

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(10):
            attempt(scorer.score, shared, color="rgb")
    finally:
        ended.set()
        thread.join()
    assert scorer.score(photo, color="rgb")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s, p: s.score(p), "color is missing"),
        (lambda s, p: s.score(p, color="gbr"), "color is 'gbr'; expected 'rgb' or 'bgr'"),
        (lambda s, p: s.score("a.png", color="rgb"), "color was given with a path"),
        (lambda s, p: s.score(p.astype(float), color="rgb"), "float64 of shape"),
        (lambda s, p: s.score(p[..., 0], color="rgb"), "repeat a grey channel"),
        (lambda s, p: s.score(p.transpose(2, 0, 1), color="rgb"), "channels last"),
        (lambda s, p: s.score(p, color="rgb", landmarks=[[1, 2]]), r"shape \(1, 2\)"),
        (lambda s, p: s.score(p, color="rgb", max_faces=0), "max_faces is 0"),
        (lambda s, p: s.score(p, color="rgb", min_confidence=2), "from 0 to 1"),
        (lambda s, p: s.score_aligned(p, color="rgb"), "a batch"),
        (lambda s, p: s.score_aligned(p[None], color="rgb"), "align"),
        (lambda s, p: s.score_files("a", on_error="stop"), "one of 'row', 'skip', 'raise'"),
        (lambda s, p: attn_fiqa.Scorer(precision="f64"), "one of 'f32', 'bf16x2', 'bf16', 'int8', 'auto'"),
        (lambda s, p: attn_fiqa.Scorer(methods="attn"), "a list of names"),
        (lambda s, p: attn_fiqa.Scorer(methods=["attn", "attn"]), "named twice"),
        (lambda s, p: attn_fiqa.Scorer(methods=["mean"]), "mean"),
        (lambda s, p: attn_fiqa.Scorer(heads=8), "name one"),
        (lambda s, p: attn_fiqa.Scorer(threads=100000), "at most 512"),
        (lambda s, p: attn_fiqa.overlay(p[:112, :112], None, color="rgb"), "maps=True"),
        (lambda s, p: attn_fiqa.overlay(p[:9], np.eye(2), color="rgb"), "a square crop"),
    ],
)
def test_messages_say_what_was_expected_and_found(scorer, photo, call, says):
    with pytest.raises(attn_fiqa.RequestError, match=says) as caught:
        call(scorer, photo)
    assert isinstance(caught.value, ValueError)
    assert "--" not in str(caught.value), "no option of the command line"


@pytest.mark.parametrize("model", ["no-such-model", "/no/such/file.safetensors", __file__])
def test_unloadable_models_raise_model_error(model):
    with pytest.raises(attn_fiqa.ModelError) as caught:
        attn_fiqa.Scorer(model)
    assert model in str(caught.value) and "--" not in str(caught.value)


def test_unloadable_detector_raises_model_error():
    with pytest.raises(attn_fiqa.ModelError, match="conftest"):
        attn_fiqa.Scorer(detector=__file__.replace("test_hostile", "conftest"))
