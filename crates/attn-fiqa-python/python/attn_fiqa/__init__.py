"""Face image quality from the attention of a face-recognition Vision Transformer."""

from . import evaluation, models, types
from ._calibrate import calibrate
from ._errors import (
    AttnFiqaError,
    AttnFiqaWarning,
    ImageError,
    ModelError,
    NoFaceError,
    RequestError,
)
from ._native import (
    AlignedScores,
    ArrowTable,
    Face,
    FileScore,
    FileScores,
    Scorer,
    __version__,
    align,
    draw,
    overlay,
)

__all__ = [
    "AlignedScores",
    "ArrowTable",
    "AttnFiqaError",
    "AttnFiqaWarning",
    "Face",
    "FileScore",
    "FileScores",
    "ImageError",
    "ModelError",
    "NoFaceError",
    "RequestError",
    "Scorer",
    "__version__",
    "align",
    "calibrate",
    "draw",
    "evaluation",
    "models",
    "overlay",
    "types",
]
