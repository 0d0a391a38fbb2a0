"""What a judge is worth against a person's labels: agreement, noise, bias, and the threshold that fits.

>>> calibrated(drawn, read_labels(drawn.file, values_of(drawn.rubric))).kappa
Estimate(value=0.61, low=0.42, high=0.75)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xxhash

from curate.judging.agreement import (
    Cut,
    Estimate,
    Retest,
    Values,
    area_under_curve,
    best_threshold,
    cut_at,
    estimates,
    length_bias,
    nearest,
    rank_correlation,
    retest,
    weighted_kappa,
)
from curate.judging.drawing import Drawn, strata_names, strata_of
from curate.judging.labelling import Label, check_enough, labels_file, values_of
from curate.judging.rows import shortened
from curate.judging.rubrics import Rubric
from curate.ledger import kind_of
from curate.models import identity_of
from curate.pool import Pool

MOSTLY = 0.95
"""Share of rows with one score above which a judge does not tell them apart."""

BINS, SHOWN, CHARACTERS = 25, 8, 600
"""Bars of the histogram; rows that are shown on which both differ most, and how much of their texts."""


@dataclass(frozen=True)
class Disagreement:
    """A row on which judge and person differ."""

    place: str
    label: str
    score: float
    prompt: str
    response: str


@dataclass(frozen=True)
class Calibration:
    """How a judge compares with a person. Shares are 0 to 1, `at`, `cut` and `threshold` scores on the rubric's scale.

    `confusion`: rows by the person's label (outer) and the judge's nearest one; `bins`: start, end, rows at or above
    the cut and rows below it, of all rows judged.
    """

    rubric: str
    version: int
    language: str
    model: str
    mode: str
    seed: int
    drawn: int
    labelled: int
    judged: int
    parsed: float
    unscored: dict[str, int]
    histogram: dict[str, int]
    cut: float
    kappa: Estimate
    spearman: Estimate
    auc: Estimate
    threshold: Estimate
    length_bias: Estimate
    cuts: list[Cut]
    person_retest: Retest | None
    judge_retest: Retest | None
    flip_rate: float | None
    first_preferred: Estimate | None
    labels: list[str]
    confusion: list[list[int]]
    bins: list[tuple[float, float, int, int]]
    warnings: list[str]
    differing: list[Disagreement]
    file: str
    report: str


def calibrated(drawn: Drawn, given: Sequence[Label]) -> Calibration:
    """What the labels say of the judge; the same labels and seed give the same numbers. The page is written too.

    Raises StoppedError for fewer than 10 rows with a label.
    """
    rubric, names = drawn.rubric, values_of(drawn.rubric)
    rows, second = _labelled(drawn, given, names)
    causes = _causes(drawn.judged["problem"])
    check_enough(len(rows), drawn.file, f", {causes[0][1]} had no score ({causes[0][0]})" if causes else "")
    scale = np.array(sorted(names.values()))
    cut = _cut(rubric)
    scores, labels, lengths = (rows[name].cast(pl.Float64).to_numpy() for name in ("score", "label", "length"))
    found = estimates(
        {
            "kappa": lambda score, label, _: weighted_kappa(score, label, scale),
            "spearman": lambda score, label, _: rank_correlation(score, label),
            "auc": lambda score, label, _: area_under_curve(score, label, cut),
            "threshold": lambda score, label, _: best_threshold(score, label, cut),
            "length_bias": length_bias,
        },
        [scores, labels, lengths],
        drawn.seed,
    )
    best = found["threshold"].value
    again = rows.filter(pl.col("again").is_not_null())
    judged_rows = drawn.judged.filter(pl.col("problem").is_null())["score"].to_numpy()
    strata = strata_of(judged_rows, rubric)
    histogram = {name: int((strata == k).sum()) for k, name in enumerate(strata_names(rubric))}
    confusion = np.zeros((len(scale), len(scale)), dtype=int)
    np.add.at(confusion, (nearest(labels, scale), nearest(scores, scale)), 1)
    calibration = Calibration(
        rubric=rubric.name,
        version=rubric.version,
        language=rubric.language,
        model=drawn.judge.model,
        mode=drawn.judge.mode,
        seed=drawn.seed,
        drawn=len(drawn.rows),
        labelled=len(rows),
        judged=len(drawn.judged),
        parsed=len(judged_rows) / len(drawn.judged),
        unscored=dict(causes),
        histogram=histogram,
        cut=cut,
        **found,
        cuts=[cut_at(scores, labels, cut, at) for at in (cut, best) if at is not None],
        person_retest=retest(*second, scale, cut),
        judge_retest=retest(again["score"].to_numpy(), again["again"].to_numpy(), scale, cut),
        flip_rate=float(np.mean(drawn.rows["flipped"].to_numpy())) if rubric.pairwise else None,
        first_preferred=_mean(drawn.rows["first"].to_numpy(), drawn.seed) if rubric.pairwise else None,
        labels=sorted(names, key=lambda name: names[name]),
        confusion=confusion.tolist(),
        bins=_bins(judged_rows, scale, cut),
        warnings=list(_warnings(histogram, labels, cut, len(rows))),
        differing=_differing(rows, names, drawn.pool),
        file=str(drawn.file),
        report=str(_report_path(drawn)),
    )
    from curate.reporting.calibration import write_calibration

    write_calibration(Path(calibration.report), calibration)
    return calibration


def _labelled(
    drawn: Drawn, given: Sequence[Label], names: Mapping[str, float]
) -> tuple[pl.DataFrame, tuple[Values, Values]]:
    """The drawn rows that have a label, with `label`; and the first and second labels of those labelled twice."""
    by_row: dict[int, list[float]] = {}
    for label in given:
        if label.row in drawn.named and label.label is not None:
            by_row.setdefault(drawn.named[label.row], []).append(names[label.label])
    labels = pl.DataFrame(
        [(row, values[0]) for row, values in by_row.items()],
        schema={"row": pl.UInt64, "label": pl.Float64},
        orient="row",
    )
    twice = [by_row[row][:2] for row in drawn.rows["row"].to_list() if len(by_row.get(row, ())) > 1]
    pairs = np.array(twice, dtype=np.float64).reshape(-1, 2)
    return drawn.rows.join(labels, on="row", maintain_order="left"), (pairs[:, 0], pairs[:, 1])


def _cut(rubric: Rubric) -> float:
    """The score from which a row is worth keeping; where the rubric has none, the middle of its scale."""
    if rubric.pairwise:
        return 0.5
    low, high = min(rubric.scale.values()), max(rubric.scale.values())
    return (low + high) / 2 if rubric.keep is None else rubric.keep


def _mean(values: Values, seed: int) -> Estimate:
    return estimates({"mean": np.mean}, [values], seed)["mean"]


def _causes(problems: pl.Series) -> list[tuple[str, int]]:
    counts = (
        problems.drop_nulls()
        .to_frame("cause")
        .select(kind_of("cause"))["cause"]
        .value_counts()
        .sort("count", "cause", descending=[True, False])
    )
    return list(counts.iter_rows())


def _bins(scores: Values, scale: Values, cut: float) -> list[tuple[float, float, int, int]]:
    edges = np.linspace(scale[0], scale[-1], BINS + 1)
    kept, gone = (np.histogram(some, edges)[0] for some in (scores[scores >= cut], scores[scores < cut]))
    return [(float(edges[k]), float(edges[k + 1]), int(kept[k]), int(gone[k])) for k in range(BINS)]


def _warnings(histogram: Mapping[str, int], labels: Values, cut: float, rows: int) -> Iterator[str]:
    total, most = sum(histogram.values()), max(histogram, key=lambda name: histogram[name])
    if histogram[most] >= MOSTLY * total:
        yield (
            f"{histogram[most]:,} of {total:,} rows score about {most}: this judge hardly tells rows apart; "
            "try another model, a rubric in the language of the rows, or --mode text"
        )
    if (labels >= cut).all() or (labels < cut).all():
        yield f"every label is on the same side of {cut:g}: neither the AUC nor a threshold can be told"
    if rows < 30:
        yield f"{rows} rows tell little: see how wide the intervals are, and label 50 to 100"


def _differing(rows: pl.DataFrame, names: Mapping[str, float], pool: Pool) -> list[Disagreement]:
    apart = (pl.col("score") - pl.col("label")).abs()
    most = rows.filter(apart > 0).sort(apart, "row", descending=[True, False]).head(SHOWN)
    if not len(most):
        return []
    texts = pl.concat(pool.texts(most["row"].sort(), ["source", "line", "prompt", "response"]))
    known = {row["row"]: row for row in texts.iter_rows(named=True)}
    called = {value: name for name, value in names.items()}
    found = []
    for row, score, label in most.select("row", "score", "label").iter_rows():
        text = known[row]
        cut, _ = shortened({name: text[name] or "" for name in ("prompt", "response")}, 2 * CHARACTERS)
        found.append(Disagreement(f"{text['source']}:{text['line']}", called[label], score, **cut))
    return found


def _report_path(drawn: Drawn) -> Path:
    parts = drawn.pool.fingerprint, identity_of(drawn.judge.model), drawn.rubric.fingerprint, drawn.judge.mode
    digest = xxhash.xxh3_64_hexdigest("\0".join(parts).encode())[:8]
    name = labels_file(drawn.pool.work_dir, drawn.rubric).stem
    return drawn.pool.work_dir / "calibrations" / f"{name}-{digest}.html"
