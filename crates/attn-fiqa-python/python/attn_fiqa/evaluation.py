"""How good a quality is: error versus discard, and what a threshold of quality buys.

The same code as the commands ``attn-fiqa edc`` and ``attn-fiqa advise``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ._native import Advice, Curve
from ._native import advise as _advise
from ._native import edc as _edc

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Advice", "Curve", "advise", "edc", "pauc"]


def edc(
    qualities: ArrayLike,
    similarities: ArrayLike,
    mated: ArrayLike,
    *,
    protocol: Literal["crfiqa", "iso", "nist"] = "crfiqa",
    fmr: float | None = None,
    fnmr: float | None = None,
    threshold: float | None = None,
    scale: Literal["cosine", "similarity", "distance"] = "cosine",
) -> Curve:
    """The error-versus-discard curve of a quality.

    :param qualities: of each comparison, shape (comparisons,), or of its two images, shape
        (comparisons, 2), of which the lower one counts.
    :param similarities: the score of each comparison.
    :param mated: whether each comparison is of one person.
    :param protocol: ``"crfiqa"`` is the papers'; ``"iso"`` is in the style of ISO/IEC 29794-1;
        ``"nist"`` is Grother and Tabassi's.
    :param fmr: the false match rate that fixes the threshold of comparisons; 1e-3 if nothing
        else does.
    :param fnmr: the false non-match rate with nothing discarded, in place of ``fmr``.
    :param threshold: the threshold itself, in place of ``fmr``.
    :param scale: what the scores are.
    :raises RequestError: if the arrays are not valid, or the protocol knows no such target.
    """
    return _edc(qualities, similarities, mated, protocol, fmr, fnmr, threshold, scale)


def pauc(
    qualities: ArrayLike,
    similarities: ArrayLike,
    mated: ArrayLike,
    *,
    limit: float = 0.3,
    protocol: Literal["crfiqa", "iso", "nist"] = "crfiqa",
    fmr: float | None = None,
    fnmr: float | None = None,
    threshold: float | None = None,
    scale: Literal["cosine", "similarity", "distance"] = "cosine",
) -> float | None:
    """The area under the curve of `edc` up to a discard fraction, lower is better; papers print
    it times 1000. ``None`` if the curve ends before the limit.

    :raises RequestError: as `edc`.
    """
    curve = edc(
        qualities,
        similarities,
        mated,
        protocol=protocol,
        fmr=fmr,
        fnmr=fnmr,
        threshold=threshold,
        scale=scale,
    )
    return curve.pauc(limit)


def advise(
    qualities: ArrayLike,
    pairs: ArrayLike,
    similarities: ArrayLike,
    mated: ArrayLike,
    *,
    reject: float | None = None,
    below: float | None = None,
    fmr: float | None = None,
    fnmr: float | None = None,
    threshold: float | None = None,
    scale: Literal["cosine", "similarity", "distance"] = "cosine",
    bootstrap: int = 0,
    seed: int = 0,
) -> Advice:
    """What it buys to reject images of low quality.

    :param qualities: of each image.
    :param pairs: the two images of each comparison, by their index, shape (comparisons, 2).
    :param similarities: the score of each comparison.
    :param mated: whether each comparison is of one person.
    :param reject: the fraction of images to reject, those of the lowest quality.
    :param below: the quality below which images are rejected, in place of ``reject``.
    :param fmr: as in `edc`, like ``fnmr``, ``threshold`` and ``scale``.
    :param bootstrap: replicates for intervals of 95 %; 0 for none.
    :param seed: fixes what the replicates draw.
    :raises RequestError: if the arrays are not valid.
    """
    return _advise(
        qualities,
        pairs,
        similarities,
        mated,
        reject,
        below,
        fmr,
        fnmr,
        threshold,
        scale,
        bootstrap,
        seed,
    )
