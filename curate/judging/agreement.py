"""How far a judge's scores and a person's labels agree: each number with its interval, none where the rows can't tell.

`weighted_kappa(scores, labels, np.arange(6.0))` is 1 for a judge that always gives the person's label, 0 for chance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A number with the 95 % interval of its bootstrap; null where the rows can't tell: all labels alike."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Cut:
    """What keeping the rows that score `at` or more does to those that the person would keep; shares of 0 to 1."""

    at: float
    kept: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Retest:
    """Two answers about the same rows: share with the same label, mean distance, share on the other side of the cut."""

    rows: int
    same: float
    apart: float
    crossed: float


def estimates(
    statistics: Mapping[str, Callable[..., float]], columns: Sequence[Values], seed: int
) -> dict[str, Estimate]:
    """Each statistic of the columns, with its percentile interval over rows drawn again with replacement.

    All statistics see the same draws. A draw that can't tell (one label alone) is left out, where
    `scipy.stats.bootstrap` would have no interval at all.
    """
    size = len(columns[0])
    draws = np.random.default_rng(seed).integers(max(size, 1), size=(RESAMPLES, size))
    found = {}
    for name, statistic in statistics.items():
        value = statistic(*columns) if size else np.nan
        if not np.isfinite(value):
            found[name] = Estimate(None, None, None)
            continue
        again = np.array([statistic(*(column[draw] for column in columns)) for draw in draws])
        low, high = np.percentile(again[np.isfinite(again)], (2.5, 97.5))
        found[name] = Estimate(float(value), float(low), float(high))
    return found


def nearest(scores: Values, scale: Values) -> npt.NDArray[np.intp]:
    """Position on the ascending scale of the label nearest to each score; of two as near, the lower."""
    at: npt.NDArray[np.intp] = np.abs(scores[:, None] - scale[None, :]).argmin(axis=1)
    return at


def weighted_kappa(scores: Values, labels: Values, scale: Values) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968) of the labels and the scores at their nearest label."""
    from sklearn.metrics import cohen_kappa_score

    judge, person = nearest(scores, scale), nearest(labels, scale)
    if _alike(np.concatenate((judge, person))):
        return np.nan
    # without `labels` the steps of the scale that nobody used would not count as distance
    return float(cohen_kappa_score(judge, person, labels=np.arange(len(scale)), weights="quadratic"))


def rank_correlation(scores: Values, labels: Values) -> float:
    """Spearman's rank correlation."""
    from scipy.stats import spearmanr

    return np.nan if _alike(scores) or _alike(labels) else float(spearmanr(scores, labels).statistic)


def area_under_curve(scores: Values, labels: Values, cut: float) -> float:
    """Chance that a row that the person would keep (label at the cut or above) scores above one that would go."""
    from sklearn.metrics import auc, roc_curve

    if _alike(labels >= cut):
        return np.nan
    dropped, recalled, _ = roc_curve(labels >= cut, scores)
    return float(auc(dropped, recalled))


def best_threshold(scores: Values, labels: Values, cut: float) -> float:
    """The threshold with the largest Youden index (recall + specificity - 1), halfway to the next score below.

    Youden's and not the largest F1, which moves with the share of good rows: that of rows drawn evenly over the scale
    is not the pool's. Of several as good, the highest.
    """
    from sklearn.metrics import roc_curve

    if _alike(labels >= cut) or _alike(scores):
        return np.nan
    dropped, recalled, at = roc_curve(labels >= cut, scores, drop_intermediate=False)
    best = at[int(np.argmax(recalled - dropped))]
    if not np.isfinite(best):  # no threshold is better than to keep nothing
        return np.nan
    below = scores[scores < best]
    return float((best + below.max()) / 2) if len(below) else float(best)


def cut_at(scores: Values, labels: Values, cut: float, at: float) -> Cut:
    """What a threshold `at` does, where the person keeps labels of `cut` or more."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        labels >= cut, scores >= at, average="binary", pos_label=True, zero_division=0.0
    )
    return Cut(float(at), float((scores >= at).mean()), float(precision), float(recall), float(f1))


def length_bias(scores: Values, labels: Values, lengths: Values) -> float:
    """Partial rank correlation of score and length, the label held: above 0, length alone earns points.

    Spearman's ranks in Pearson's first-order partial correlation (Kendall 1942).
    """
    from scipy.stats import rankdata

    if _alike(scores) or _alike(lengths):
        return np.nan
    ranks = rankdata((scores, lengths, labels), axis=1)
    if _alike(labels):
        return float(np.corrcoef(ranks[:2])[0, 1])
    (_, together, scored), (_, _, longer), _ = np.corrcoef(ranks)
    left = (1 - scored**2) * (1 - longer**2)
    return float((together - scored * longer) / np.sqrt(left)) if left > 1e-12 else np.nan


def retest(first: Values, second: Values, scale: Values, cut: float) -> Retest | None:
    """How far two answers about the same rows differ; None for no rows."""
    if not len(first):
        return None
    same = nearest(first, scale) == nearest(second, scale)
    crossed = (first >= cut) != (second >= cut)
    return Retest(len(first), float(same.mean()), float(np.abs(first - second).mean()), float(crossed.mean()))


def _alike(values: npt.NDArray[np.generic]) -> bool:
    return bool((values == values[0]).all())
