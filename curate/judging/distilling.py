"""Teach a classifier what a judge said of some rows, and measure it on rows that it never saw.

`distill("scored.jsonl", "edu").held_out.f1` of a ridge regression on vectors and cheap measures, as FineWeb-Edu's head
on embeddings (Penedo et al. 2024), with Platt's calibration (1999) of the chance to reach the cut.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.disk import disk_faults
from curate.embedding import embedded, embedder
from curate.embedding.words import Words
from curate.errors import StoppedError, UsageError
from curate.judging.agreement import Estimate, Values, estimates, rank_correlation
from curate.judging.distilled import (
    ARRAYS,
    CARD,
    FORMAT,
    READS,
    WORDS,
    Band,
    Card,
    Classifier,
    HeldOut,
    Matrix,
    Weights,
    binned,
    features,
    is_sure,
    measured,
    versions,
    write_arrays,
    write_card,
)
from curate.judging.holding_out import Mask, Rows, groups_of, held_out
from curate.judging.known_scores import Scores, scores_in
from curate.judging.rubrics import Rubric, load_rubric
from curate.pool import Pool
from curate.whole import check_writable
from curate.working import Working

FOLDS = 5
"""Parts of the rows, each of which is said by what learnt from the others."""

LEAST, LEAST_OF_A_SIDE = 100, 10
"""Rows with a score, and rows on either side of the cut, below which nothing can be learnt."""

ALPHAS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)
"""Strengths of the penalty that are tried, on columns of variance 1."""

SURE = (0.8, 0.9, 0.95, 0.99)
"""Bands that the card tells of."""


def distill(
    scores: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    embedder: str = "default",
    cut: float | None = None,
    step: str | None = None,
    seed: int = 0,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Card:
    """Teach a classifier the scores in a file that `curate judge` wrote, or of a run's step `judge`; its card.

    `cut`: the score from which a row is kept (default: the rubric's); `step`: which judge of the run. The folder
    `output` is written, and is what the filter `distilled` takes. A fifth of the rows is held out, with all their
    near-duplicates and all rows of the same prompt. Raises UsageError for scores that are none, StoppedError where they
    are too few.
    """
    work, folder, working = Path(work_dir), Path(output), working or Working()
    if folder.exists() and not (folder.is_dir() and {file.name for file in folder.iterdir()} <= {CARD, ARRAYS, WORDS}):
        raise UsageError(
            f"{folder} is there and holds other things than a distilled judge", "name a folder that is not there"
        )
    check_writable(folder, "name another folder with -o")
    with disk_faults(work, folder):
        said = scores_in(scores, step, work, working)
        rubric = load_rubric(said.rubric, said.language)
        at = _cut(rubric, cut)
        said = _on_scale(said, rubric, working)
        score = said.rows["score"].to_numpy()
        _check(score >= at, at, said)
        groups = groups_of(said.pool, said.rows["row"].to_numpy().astype(np.int64), working)
        held = held_out(groups, seed)
        _check_held(score >= at, held)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD).unlink(missing_ok=True)
        return _taught(said, rubric, at, groups, held, embedder, folder, seed, working)


def _cut(rubric: Rubric, cut: float | None) -> float:
    if rubric.pairwise:
        raise UsageError(f"{rubric.name} compares two answers; a classifier reads one row", "judge by another rubric")
    low, high = min(rubric.scale.values()), max(rubric.scale.values())
    if cut is None and rubric.keep is None:
        raise UsageError(f"{rubric.name} does not say from which score a row is kept", f"--cut {(low + high) / 2:g}")
    at = rubric.keep if cut is None else cut
    if at is None or not low < at <= high:
        raise UsageError(f"no cut can be {at:g} on a scale from {low:g} to {high:g}", "name one between")
    return at


def _on_scale(said: Scores, rubric: Rubric, working: Working) -> Scores:
    """The scores that the rubric can have given; the others (7 of 5, 1e400) are left out and told."""
    low, high = min(rubric.scale.values()), max(rubric.scale.values())
    rows = said.rows.filter(pl.col("score").is_between(low, high))
    if off := len(said.rows) - len(rows):
        working.notice(f"{off:,} of {len(said.rows):,} scores are not on the scale from {low:g} to {high:g}: left out")
    return replace(said, rows=rows, unscored=said.unscored + off)


def _check(kept: Mask, at: float, said: Scores) -> None:
    """Raises StoppedError where there is too little to learn from."""
    if len(kept) < LEAST:
        raise StoppedError(
            f"{len(kept):,} rows have a score ({said.unscored:,} have none); fewer than {LEAST} teach nothing",
            "judge more rows: some thousands teach well",
        )
    if min(kept.sum(), (~kept).sum()) < 2 * LEAST_OF_A_SIDE:
        raise StoppedError(
            f"{kept.sum():,} of {len(kept):,} rows score {at:g} or more: both sides must have {2 * LEAST_OF_A_SIDE}",
            "judge more rows, or name another --cut",
        )


def _check_held(kept: Mask, held: Mask) -> None:
    sides = [int((kept[part] == side).sum()) for part in (held, ~held) for side in (True, False)]
    if not all(sides[:2]) or min(sides[2:]) < LEAST_OF_A_SIDE:
        raise StoppedError(
            "the rows are too much alike: those that may be held out are all on one side of the cut",
            "judge rows that differ more, or more of them",
        )


def _taught(
    said: Scores,
    rubric: Rubric,
    cut: float,
    groups: Rows,
    held: Mask,
    name: str,
    folder: Path,
    seed: int,
    working: Working,
) -> Card:
    pool, rows = said.pool, said.rows["row"].to_numpy().astype(np.int64)
    score, learnt = said.rows["score"].to_numpy(), ~held
    own = _embedder(name, pool, rows[held], folder)
    mask = np.zeros(len(pool), dtype=np.bool_)
    mask[rows[learnt]] = True
    vectors = embedded(pool, own, rows=mask, working=working)[rows[learnt]]
    measures = pl.concat([measured(frame) for frame in pool.texts(rows[learnt], READS)], how="vertical_relaxed")
    bins = binned(measures)
    working.check()
    scale = min(rubric.scale.values()), max(rubric.scale.values())
    weights, alpha, guessed = fitted(features(vectors, measures, bins), score[learnt], groups[learnt], cut, scale)
    card = Card(
        format=FORMAT,
        rubric=said.rubric,
        language=said.language,
        rubric_fingerprint=rubric.fingerprint,
        judge=said.model,
        cut=cut,
        embedder=name,
        embedder_fingerprint=own.fingerprint,
        arrays=write_arrays(folder, bins, weights),
        versions=versions(),
        seed=seed,
        learnt_from=int(learnt.sum()),
        unscored=said.unscored,
        groups=len(np.unique(groups)),
        alpha=alpha,
        cross_validated_f1=f1(weights.chances(guessed) >= 0.5, score[learnt] >= cut),
        held_out=_held_out_figures(Classifier(bins, weights, own), pool, rows[held], score[held], cut, seed),
    )
    write_card(folder, card)
    return card


def _embedder(name: str, pool: Pool, held: Rows, folder: Path) -> Any:
    """The embedder to learn from; the default one is fitted on all rows but those held out, and kept in the folder."""
    (folder / WORDS).unlink(missing_ok=True)
    if name == "default":
        others = np.ones(len(pool), dtype=np.bool_)
        others[held] = False
        return Words.fitted_on(pool, "both", others, folder / WORDS)
    model = embedder(name, pool)
    if isinstance(model, Words):
        model.save(folder / WORDS)
        return Words.of_file(folder / WORDS)
    return model


def fitted(
    found: Matrix, score: Values, groups: Rows, cut: float, scale: tuple[float, float]
) -> tuple[Weights, float, Values]:
    """The weights; the penalty that predicts best across groups; and the score of each row as others predict it.

    On one thread, for the same bits. The chances are calibrated on those predictions, never on a row's own.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        folds = list(GroupKFold(FOLDS).split(found, groups=groups))
        tried = []
        for alpha in ALPHAS:
            guessed = cross_val_predict(make_pipeline(StandardScaler(), Ridge(alpha)), found, score, cv=folds)
            tried.append((float(np.mean((guessed - score) ** 2)), alpha, guessed))
        _, alpha, guessed = min(tried, key=lambda one: one[:2])
        scaler = StandardScaler().fit(found)
        ridge = Ridge(alpha).fit(scaler.transform(found), score)
        platt = LogisticRegression(C=1000.0).fit(guessed[:, None], score >= cut)
    coefficients = (ridge.coef_ / scaler.scale_).astype(np.float32)
    intercept = float(ridge.intercept_ - scaler.mean_ @ coefficients)
    slope, shift = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    if slope <= 0:  # it learnt nothing: every row has the chance of any
        share = float(np.mean(score >= cut))
        slope, shift = 0.0, float(np.log(share / (1 - share)))
    return Weights(coefficients, intercept, slope, shift, *scale), alpha, guessed


def f1(said: npt.NDArray[Any], kept: npt.NDArray[Any]) -> float:
    """Harmonic mean of precision and recall of what is said to be kept (1, or 0); 0 where nothing is right."""
    right = float((said * kept).sum())
    return 2 * right / float(said.sum() + kept.sum()) if right else 0.0


def _held_out_figures(classifier: Classifier, pool: Pool, rows: Rows, score: Values, cut: float, seed: int) -> HeldOut:
    classifier.said_of(next(pool.texts(rows, READS)))  # what is compiled or opened is not the rate
    began = time.perf_counter()
    said = pl.concat([classifier.said_of(frame) for frame in pool.texts(rows, READS)])
    seconds = time.perf_counter() - began
    expected, chances, kept = said["score"].to_numpy(), said["chance"].to_numpy(), score >= cut
    found: Estimate = estimates({"f1": f1}, [(chances >= 0.5).astype(float), kept.astype(float)], seed)["f1"]
    spearman = rank_correlation(expected, score)
    return HeldOut(
        rows=len(score),
        kept=float(kept.mean()),
        f1=f1(chances >= 0.5, kept),
        f1_low=found.low or 0.0,
        f1_high=found.high or 0.0,
        f1_of_all=f1(np.ones_like(kept), kept),
        spearman=spearman if np.isfinite(spearman) else None,
        error=float(np.abs(expected - score).mean()),
        miscalibration=_miscalibration(chances, kept),
        rows_a_second=len(rows) / seconds,
        bands=[_band(sure, chances, kept) for sure in SURE],
    )


def _band(sure: float, chances: Values, kept: Mask) -> Band:
    decided = is_sure(chances, sure)
    return Band(sure, float(decided.mean()), f1(np.where(decided, chances >= 0.5, kept), kept))


def _miscalibration(chances: Values, kept: Mask) -> float:
    """Expected calibration error (Naeini et al. 2015)."""
    at = np.minimum((chances * 10).astype(int), 9)
    rows = np.bincount(at, minlength=10)
    said, true = (np.bincount(at, weights=values, minlength=10) for values in (chances, kept))
    return float(np.abs(said - true).sum() / rows.sum())
