"""Types of arguments and results, for annotations."""

from __future__ import annotations

import os
from typing import IO, Any, Literal, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Band",
    "Color",
    "CropOrigin",
    "Image",
    "Path",
    "PilImage",
    "Pixels",
    "Precision",
    "SupportsArrayInterface",
    "SupportsDLPack",
]


class SupportsArrayInterface(Protocol):
    """Pixels exposed through NumPy's array interface."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


class SupportsDLPack(Protocol):
    """Pixels on the CPU exposed through DLPack, such as a PyTorch tensor."""

    def __dlpack__(self, *, stream: Any = ...) -> Any: ...

    def __dlpack_device__(self) -> tuple[Any, Any]: ...


class PilImage(Protocol):
    """A ``PIL.Image.Image``."""

    @property
    def mode(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]: ...

    def convert(self, mode: str) -> Any: ...


Color: TypeAlias = Literal["rgb", "bgr"]
Precision: TypeAlias = Literal["f32", "bf16x2", "bf16", "int8", "auto"]
Band: TypeAlias = Literal["unusable", "poor", "fair", "good", "excellent"]
CropOrigin: TypeAlias = Literal["aligned", "detected", "refined", "landmarks"]
Path: TypeAlias = Union[str, "os.PathLike[str]"]
Pixels: TypeAlias = Union["NDArray[np.uint8]", SupportsArrayInterface, SupportsDLPack]
Image: TypeAlias = Path | bytes | bytearray | memoryview | IO[bytes] | PilImage | Pixels
