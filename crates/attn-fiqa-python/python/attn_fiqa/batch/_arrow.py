"""Packages that are imported only when needed, and that do not have types everywhere."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["fs", "load", "pa", "pq"]


def load(module: str, extra: str) -> Any:
    """A module of a package that `pip install attn-fiqa[extra]` installs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} cannot be imported: {error}; install it with pip install attn-fiqa[{extra}]"
        ) from error


pa = load("pyarrow", "batch")
fs = load("pyarrow.fs", "batch")
pq = load("pyarrow.parquet", "batch")
