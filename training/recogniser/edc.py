"""Recognition errors, and how they decrease as the worst images are discarded."""

import numpy as np


def ten_fold_accuracy(similarity, mated):
    """Mean accuracy over ten folds, each at the threshold best on the other nine."""
    folds = np.array_split(np.arange(len(mated)), 10)
    accuracies = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(mated)), fold)
        order = rest[np.argsort(similarity[rest])]
        # Number of correct decisions with the threshold just before the k-th comparison.
        right = np.concatenate([[0], np.cumsum(~mated[order])]) + np.concatenate(
            [np.cumsum(mated[order][::-1])[::-1], [0]]
        )
        k = right.argmax()
        threshold = similarity[order[k]] if k < len(order) else np.inf
        accuracies.append(((similarity[fold] >= threshold) == mated[fold]).mean())
    return float(np.mean(accuracies))


def fnmr_at(distance, mated, fmr):
    """FNMR at the threshold whose FMR is nearest to `fmr` (definitions, protocol `crfiqa`)."""
    non_mated, candidates = np.sort(distance[~mated]), np.unique(distance)
    share = np.searchsorted(non_mated, candidates, side="right") / len(non_mated)
    away = np.abs(share - fmr)
    threshold = candidates[np.flatnonzero(away == away.min())[-1]]
    return 1 - (distance[mated] < threshold).mean()


def pauc(distance, mated, quality, fmr=1e-3, limit=0.30):
    """pAUC-EDC x 1000, protocol `crfiqa`; `quality` has one value per comparison."""
    order = np.argsort(quality, kind="stable")
    fractions = np.arange(0, round(limit * 100) + 1, 5) / 100
    errors = []
    for fraction in fractions:
        kept = order[int(fraction * len(order)) :]
        errors.append(fnmr_at(distance[kept], mated[kept], fmr))
    return 1000 * float(np.trapezoid(errors, fractions))
