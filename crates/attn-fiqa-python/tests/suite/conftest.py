"""Shared by the tests."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import attn_fiqa
import numpy as np
import pytest
from PIL import Image

#: The repository.
ROOT = pathlib.Path(__file__).resolve().parents[4]
PHOTO = ROOT / "examples/astronaut.png"
FACES = ROOT / "examples/faces"


@pytest.fixture(scope="session")
def scorer() -> attn_fiqa.Scorer:
    return attn_fiqa.Scorer()


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """RGB, with one face."""
    return np.asarray(Image.open(PHOTO).convert("RGB"))


@pytest.fixture(scope="session")
def names() -> list[pathlib.Path]:
    """Aligned faces, in the order in which a folder is read."""
    return sorted(FACES.iterdir())


@pytest.fixture(scope="session")
def crops(names: list[pathlib.Path]) -> np.ndarray:
    """The faces whose format decodes to the same pixels everywhere."""
    return np.stack([np.asarray(Image.open(n).convert("RGB")) for n in names if n.suffix == ".png"])


@pytest.fixture(scope="session")
def command() -> Callable[..., str]:
    """The command line of the package."""

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "attn_fiqa", *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    return run
