"""Calibration of a model on your own faces."""

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
    """Fits a model's score to recognition and maps it to 0-100, using faces without labels.

    Runs ``attn-fiqa calibrate`` in a separate process, which takes about a minute for 2000 faces.

    :param faces: a folder or tar archive of aligned faces of 112x112 pixels.
    :param output: the ``.safetensors`` file to write; ``Scorer(output)`` uses it.
    :param model: the model to calibrate; ``None`` for the built-in one.
    :param recogniser: the ONNX recogniser whose errors count; ``None`` for the model itself.
    :param fmr: the false match rate that sets the match threshold.
    :param limit: maximum number of faces to use.
    :param threads: number of worker threads; ``None`` for one per core.
    :param seed: determines which faces are used and how they are degraded.
    :returns: the results of the fit, as a CSV table.
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
