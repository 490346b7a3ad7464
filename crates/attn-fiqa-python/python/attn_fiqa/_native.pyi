"""The native part of the package; users import `attn_fiqa` and `attn_fiqa.evaluation`."""

from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import AlignedScores as AlignedScores
from . import ArrowTable as ArrowTable
from . import Face as Face
from . import FileScore as FileScore
from . import FileScores as FileScores
from . import Scorer as Scorer
from . import align as align
from . import draw as draw
from . import overlay as overlay

__all__ = [
    "Advice",
    "AlignedScores",
    "ArrowTable",
    "Curve",
    "Face",
    "FileScore",
    "FileScores",
    "Scorer",
    "__version__",
    "advise",
    "align",
    "draw",
    "edc",
    "main",
    "overlay",
    "restore_face",
    "restore_row",
]

__version__: str

@final
class Curve:
    """An error-versus-discard curve; entry i of every array belongs to one discard fraction."""

    @property
    def protocol(self) -> str:
        """The protocol's name."""

    @property
    def target(self) -> str:
        """What set the comparison threshold, such as ``FMR 1e-3``."""

    @property
    def discard(self) -> NDArray[np.float64]:
        """Fractions of comparisons discarded, ascending from 0."""

    @property
    def fnmr(self) -> NDArray[np.float64]:
        """False non-match rates of the remaining mated comparisons; NaN where there are none."""

    @property
    def fmr(self) -> NDArray[np.float64]:
        """Realised false match rates."""

    @property
    def threshold(self) -> NDArray[np.float64]:
        """The thresholds used: distances or, under the protocol ``iso``, similarities."""

    @property
    def warnings(self) -> list[str]:
        """Reasons why the curve is less trustworthy than it looks."""

    def pauc(self, limit: float) -> float | None:
        """The area up to a discard fraction; ``None`` if the curve ends before it."""

    def auc(self) -> float | None:
        """The area under the whole curve."""

@final
class Advice:
    """The effect of rejecting images below a quality; ``str`` gives it as a sentence."""

    @property
    def reject_below(self) -> float:
        """Images of a lower quality are rejected."""

    @property
    def images(self) -> int:
        """Number of images."""

    @property
    def rejected(self) -> int:
        """Number of rejected images."""

    @property
    def fmr_before(self) -> float:
        """The realised false match rate before the rejection."""

    @property
    def fnmr_before(self) -> float:
        """The false non-match rate before the rejection."""

    @property
    def fmr_after(self) -> float | None:
        """The realised false match rate after the rejection; ``None`` if no comparison of one kind
        is left."""

    @property
    def fnmr_after(self) -> float | None:
        """The false non-match rate after the rejection; ``None`` if no comparison of one kind is
        left."""

    @property
    def fnmr_before_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the FNMR before, with a bootstrap."""

    @property
    def fnmr_after_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the FNMR after, with a bootstrap."""

    @property
    def gain_interval(self) -> tuple[float, float] | None:
        """The interval of FNMR before minus FNMR after; above 0, the rejection helps."""

    @property
    def unresolved(self) -> bool:
        """Whether there are too few non-mated comparisons for the target."""

def edc(
    qualities: ArrayLike,
    similarities: ArrayLike,
    mated: ArrayLike,
    protocol: str,
    fmr: float | None,
    fnmr: float | None,
    threshold: float | None,
    scale: str,
) -> Curve: ...
def advise(
    qualities: ArrayLike,
    pairs: ArrayLike,
    similarities: ArrayLike,
    mated: ArrayLike,
    reject: float | None,
    below: float | None,
    fmr: float | None,
    fnmr: float | None,
    threshold: float | None,
    scale: str,
    bootstrap: int,
    seed: int,
) -> Advice: ...
def main(args: list[str]) -> int: ...
def restore_face(packed: dict[str, Any]) -> Face: ...
def restore_row(packed: dict[str, Any]) -> FileScore: ...
