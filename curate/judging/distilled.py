"""A classifier that was taught a judge's scores: thousands of rows a second, plain arrays on disk.

`open_classifier("edu")[1].said_of(rows)` gives each row the score to expect and the chance that it reaches the cut. The
folder holds `card.json`, `arrays.npz` and, of the default embedder, `words.npz`. There is no pickle in it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import xxhash

from curate.embedding import Embedder, embedder, texts_of
from curate.errors import UsageError
from curate.judging.rubrics import Language
from curate.protocol import trait
from curate.recipe import Step, rebuild_recipe
from curate.whole import whole_file

FORMAT = 1
"""Raised when what lies in the folder comes to mean something else."""

CARD, ARRAYS, WORDS = "card.json", "arrays.npz", "words.npz"

AGAIN = "make it anew: curate judge distill SCORES -o FOLDER"

READS = ("prompt", "response")
"""What a classifier reads of the pool."""

BINS, CATEGORIES = 10, 12
"""A number is told by its tenth of the rows that were learnt from, a word if it is one of the most frequent."""

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Band:
    """What a classifier is worth that decides where its chance is `sure` or surer and leaves the rest to the judge.

    `saved`: share of the judge's calls; `f1`: of what both decide together, held against the judge alone.
    """

    sure: float
    saved: float
    f1: float


@dataclass(frozen=True)
class HeldOut:
    """What the classifier says of rows held out of all that was learnt, against the judge; shares are 0 to 1.

    `kept`: rows that the judge keeps; `f1_low`, `f1_high`: 95 % interval; `f1_of_all`: that of keeping every row;
    `error`: mean distance from the judge's score; `miscalibration`: mean distance of the chances from what came true,
    over ten bins.
    """

    rows: int
    kept: float
    f1: float
    f1_low: float
    f1_high: float
    f1_of_all: float
    spearman: float | None
    error: float
    miscalibration: float
    rows_a_second: float
    bands: list[Band]


@dataclass(frozen=True)
class Card:
    """What a classifier was taught, of what, and how well it learnt it. `arrays`: the digest of the file of
    them; `versions`: of the filters that measure.

    `cross_validated_f1`: of rows learnt from, each said by a classifier that did not see its group.
    """

    format: int
    rubric: str
    language: Language
    rubric_fingerprint: str
    judge: str | None
    cut: float
    embedder: str
    embedder_fingerprint: str
    arrays: str
    versions: dict[str, int]
    seed: int
    learnt_from: int
    unscored: int
    groups: int
    alpha: float
    cross_validated_f1: float
    held_out: HeldOut


@cache
def measuring_steps() -> tuple[Step, ...]:
    """The cheap measures: those of built-in filters, by their defaults."""
    lengths = [{"length": {"of": side}, "as": side} for side in READS]
    return rebuild_recipe({"name": "measures", "steps": [*lengths, "repetition", "language"]}).steps


def versions() -> dict[str, int]:
    """The versions of the filters that measure."""
    return {step.filter_name: trait(step.filter, "version") for step in measuring_steps()}


def measured(rows: pl.DataFrame) -> pl.DataFrame:
    """The cheap measures of rows: `response.chars`, `language.answered` ..."""
    frames = [step.filter.measure(rows).select(pl.all().name.prefix(f"{step.name}.")) for step in measuring_steps()]
    return pl.concat(frames, how="horizontal")


def binned(measures: pl.DataFrame) -> dict[str, Any]:
    """For each measure the edges of its bins, or its most frequent words."""
    found: dict[str, Any] = {}
    for column in measures:
        if column.dtype == pl.String:
            counts = column.drop_nulls().value_counts().sort("count", column.name, descending=[True, False])
            found[column.name] = np.array(counts[column.name].head(CATEGORIES).to_list(), dtype=np.str_)
        else:
            values = column.cast(pl.Float64).drop_nulls().to_numpy()
            edges = np.quantile(values, np.arange(1, BINS) / BINS) if len(values) else np.zeros(0)
            found[column.name] = np.unique(edges)
    return found


def features(vectors: npt.NDArray[Any], measures: pl.DataFrame, bins: Mapping[str, Any]) -> Matrix:
    """[n, d]: the vectors, then for each measure a column per bin that is 1 in that bin; a null is in none."""
    parts: list[Any] = [vectors]
    for name, edges in bins.items():
        column = measures[name]
        if edges.dtype.kind == "U":
            parts += [(column == word).fill_null(False).to_numpy()[:, None] for word in edges.tolist()]
        else:
            values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
            at = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
            parts.append(at[:, None] == np.arange(len(edges) + 1))
    return np.concatenate([np.asarray(part, dtype=np.float32) for part in parts], axis=1)


@dataclass(frozen=True)
class Weights:
    """A linear score, and the chance that its row reaches the cut: 1 / (1 + exp(-(slope * score + shift))).

    `low`, `high`: the ends of the scale.
    """

    coefficients: Matrix
    intercept: float
    slope: float
    shift: float
    low: float
    high: float

    def scores(self, features: Matrix) -> npt.NDArray[np.float64]:
        """The score to expect, which may lie beyond the scale."""
        return np.asarray(features @ self.coefficients + self.intercept, dtype=np.float64)

    def chances(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The chance of each to reach the cut."""
        chances: npt.NDArray[np.float64] = 0.5 * (1 + np.tanh((self.slope * scores + self.shift) / 2))
        return chances


@dataclass(frozen=True)
class Classifier:
    """Texts to scores. Its embedder's weights are opened by the first rows."""

    bins: Mapping[str, Any]
    weights: Weights
    embedder: Embedder

    def said_of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`score` (on the rubric's scale) and `chance` (of reaching the cut, 0 to 1) of rows with READS."""
        found = features(self.embedder.embed(texts_of(rows, "both")), measured(rows), self.bins)
        scores = self.weights.scores(found)
        on_scale = scores.clip(self.weights.low, self.weights.high)
        return pl.DataFrame({"score": on_scale, "chance": self.weights.chances(scores)})


def is_sure(chances: npt.NDArray[np.float64], sure: float) -> npt.NDArray[np.bool_]:
    """Whether a chance, or that of the contrary, is `sure` or more."""
    found: npt.NDArray[np.bool_] = np.maximum(chances, 1 - chances) >= sure
    return found


def write_arrays(folder: Path, bins: Mapping[str, Any], weights: Weights) -> str:
    """Plain arrays; the same ones are the same bytes. Returns their digest."""
    with whole_file(folder / ARRAYS) as file:
        np.savez(file, **{f"bins {name}": edges for name, edges in bins.items()}, **asdict(weights))
    return xxhash.xxh3_128_hexdigest((folder / ARRAYS).read_bytes())


def write_card(folder: Path, card: Card) -> None:
    """Written last: a folder with a card is whole."""
    with whole_file(folder / CARD) as file:
        file.write(orjson.dumps(card, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def open_classifier(folder: str | Path, work_dir: Path = Path(".curate")) -> tuple[Card, Classifier]:
    """The classifier in a folder, and its card.

    Raises UsageError, with a remedy, for one that is none, is damaged, or whose embedder or measures are others now.
    """
    folder = Path(folder)
    try:
        fields = orjson.loads((folder / CARD).read_bytes())
        found = fields["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder} holds no distilled judge: there is no {CARD} to read", AGAIN) from None
    if found != FORMAT:
        raise UsageError(f"{folder} was made by another version of curate (format {found}, not {FORMAT})", AGAIN)
    try:
        held = HeldOut(**{**fields["held_out"], "bands": [Band(**band) for band in fields["held_out"]["bands"]]})
        card = Card(**{**fields, "held_out": held})
        if xxhash.xxh3_128_hexdigest((folder / ARRAYS).read_bytes()) != card.arrays:
            raise ValueError(f"{ARRAYS} is not the one that {CARD} tells of")
        with np.load(folder / ARRAYS, allow_pickle=False) as saved:
            arrays = dict(saved)
        bins = {name.removeprefix("bins "): arrays.pop(name) for name in list(arrays) if name.startswith("bins ")}
        coefficients = arrays.pop("coefficients")
        weights = Weights(coefficients, **{name: float(value) for name, value in arrays.items()})
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise UsageError(f"{folder} is damaged: {error}", AGAIN) from None
    now = versions()
    if changed := [name for name in now if card.versions.get(name) != now[name]]:
        was = card.versions.get(changed[0])
        raise UsageError(f"{folder} learnt from {changed[0]} at version {was}, which is {now[changed[0]]} now", AGAIN)
    in_folder = card.embedder.partition(":")[0] == "default"
    try:
        own = embedder(f"default:{folder / WORDS}" if in_folder else card.embedder, work_dir=work_dir)
    except UsageError as error:
        remedy = AGAIN if in_folder else error.remedy or AGAIN
        raise UsageError(f"{folder} needs its embedder: {error.message}", remedy) from None
    if own.fingerprint != card.embedder_fingerprint:
        remedy = f"bring back the {card.embedder} that it was made with, or {AGAIN}"
        raise UsageError(f"{folder} was made with another embedder than {card.embedder} is now", remedy)
    return card, Classifier(bins, weights, own)
