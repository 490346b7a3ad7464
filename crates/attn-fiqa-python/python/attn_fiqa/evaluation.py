"""How good a quality is: error versus discard, and the effect of a quality threshold.

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
        (comparisons, 2); the lower one counts.
    :param similarities: the score of each comparison.
    :param mated: whether both images of each comparison show the same person.
    :param protocol: ``"crfiqa"`` is the papers'; ``"iso"`` is in the style of ISO/IEC 29794-1;
        ``"nist"`` is Grother and Tabassi's.
    :param fmr: the false match rate that sets the comparison threshold; 1e-3 if nothing else does.
    :param fnmr: the false non-match rate with nothing discarded, instead of ``fmr``.
    :param threshold: the threshold itself, instead of ``fmr``.
    :param scale: what the scores are.
    :raises RequestError: if the arrays are not valid, or the protocol does not support the target.
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
    """The area under the curve of `edc` up to a discard fraction; lower is better. Papers print it
    times 1000. ``None`` if the curve ends before the limit.

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
    """The effect of rejecting images of low quality.

    :param qualities: of each image.
    :param pairs: the indices of the two images of each comparison, shape (comparisons, 2).
    :param similarities: the score of each comparison.
    :param mated: whether both images of each comparison show the same person.
    :param reject: the fraction of images to reject, lowest quality first.
    :param below: the quality below which images are rejected, instead of ``reject``.
    :param fmr: as in `edc`, like ``fnmr``, ``threshold`` and ``scale``.
    :param bootstrap: number of replicates for 95 % intervals; 0 for none.
    :param seed: seed of the draws of the replicates.
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
