"""Calibration of a model on faces of one's own."""

from __future__ import annotations

import os

from ._command import run
from ._errors import RequestError


def calibrate(
    faces: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    recogniser: str | os.PathLike[str] | None = None,
    fmr: float = 1e-3,
    limit: int = 2000,
    threads: int | None = None,
    seed: int = 0,
) -> str:
    """Fits a model's score to recognition and brings it to 0-100, on faces without labels.

    Runs ``attn-fiqa calibrate`` in a process of its own, which takes about a minute for 2000
    faces.

    :param faces: a folder or a tar archive of aligned faces of 112x112 pixels.
    :param output: the ``.safetensors`` file to write; ``Scorer(output)`` uses it.
    :param model: the model to calibrate; ``None`` is the built-in one.
    :param recogniser: an ONNX recogniser whose errors count; ``None`` is the model itself.
    :param fmr: the false match rate at which a match is decided.
    :param limit: the most faces that are taken.
    :param threads: worker threads; ``None`` is one per core.
    :param seed: fixes which faces are taken and how they are degraded.
    :returns: what was found out about the fit, as a CSV table.
    :raises RequestError: if the model cannot be calibrated on these faces.
    """
    arguments = ["calibrate", "--faces", os.fspath(faces), "--output", os.fspath(output)]
    arguments += ["--fmr", repr(float(fmr)), "--limit", str(limit), "--seed", str(seed)]
    if model is not None:
        arguments += ["--model", os.fspath(model)]
    if recogniser is not None:
        arguments += ["--recogniser", os.fspath(recogniser)]
    if threads is not None:
        arguments += ["--jobs", str(threads)]
    return run(arguments, RequestError)
