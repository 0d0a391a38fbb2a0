"""What a filter is: a frozen dataclass in a file of its own, with `measure`, `decide`, or both.

@dataclass(frozen=True, kw_only=True)
class Shouting:
    '''Drop a row whose response is mostly capitals.'''

    reads = ("response",)
    per_row = True
    most: float | None = threshold(0.5)

    def measure(self, rows):
        letters = pl.col("response").str.count_matches(r"\\p{L}")
        return rows.select(capitals=pl.col("response").str.count_matches(r"\\p{Lu}") / letters)

    def decide(self, measures, pool):
        return within(measures, "capitals", high=self.most, what="share of capitals")
"""

import dataclasses
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, Self, cast, runtime_checkable

import polars as pl

from curate.errors import CurateError, StoppedError, UsageError
from curate.pool import Pool

VERDICT = pl.Enum(["keep", "drop", "unscored"])
DECISION: dict[str, Any] = {
    "verdict": VERDICT,
    "reason": pl.String,
    "value": pl.Float64,
    "threshold": pl.Float64,
    "margin": pl.Float64,
    "rival": pl.String,
    "evidence": pl.String,
}
"""Columns that `decide` may return, in its rows' order; only `verdict` must be there. margin >= 0 keeps."""


@runtime_checkable
class Filter(Protocol):
    """The protocol; each method may be missing, but not both `measure` (or `stream`) and `decide`.

    Without `decide` a filter only measures; without `measure` it only decides. The rules are in docs/protocol.md.
    """

    version: ClassVar[int] = 1
    per_row: ClassVar[bool] = False
    reads: Any = ("response",)
    makes: ClassVar[tuple[str, ...]]
    """For `stream`: the names of the measures."""
    asks_model: Any = False
    """Whether a model reads rows in `decide`: then a dry run leaves the step out, as it does any that streams."""

    def prepare(self, pool: Pool) -> Self:
        """A copy with its `fitted()` fields filled, seen from the whole pool."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        """One line per line of `rows` (`row` and `reads`), in order; a column `problem` says why a value is null."""

    def stream(self, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Instead of `measure`, for models: lines with their `row`, in any order, as they come."""

    def estimate(self, rows: pl.DataFrame, total: int, probe: bool) -> Iterable[str]:
        """With `stream`: what measuring `total` rows will take, told from some; only a `probe` may ask a model."""

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        """The verdict on every line of `measures` (`row`, measures, `Column` fields), in order; see `DECISION`."""


def trait(filter: Any, name: str) -> Any:
    """The filter's `version`, `per_row`, `reads` ..., or the protocol's default where it says nothing."""
    return getattr(filter, name, getattr(Filter, name))


class Column(str):
    """A parameter that names a value per row: `STEP.MEASURE`, `meta.NAME` or a column of the pool.

    `decide` finds the values under the field's name.
    """


def threshold(default: Any) -> Any:
    """A parameter that only `decide` reads: changing it measures nothing anew."""
    return dataclasses.field(default=default, metadata={"curate": "threshold"})


def fitted() -> Any:
    """A field that `prepare` fills and no recipe sets; one of them must be called `fingerprint`."""
    return dataclasses.field(default=None, metadata={"curate": "fitted"})


def _mark(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("curate", ""))


def parameters(filter_class: type) -> dict[str, dataclasses.Field[Any]]:
    """The fields that a recipe may set."""
    return {f.name: f for f in dataclasses.fields(filter_class) if _mark(f) != "fitted"}


def is_column(field: dataclasses.Field[Any]) -> bool:
    """Whether the field names a value per row."""
    kinds = str(field.type if isinstance(field.type, str) else getattr(field.type, "__args__", field.type))
    return "Column" in kinds


def measured_by(filter: Filter) -> dict[str, Any]:
    """What decides a filter's measures: every parameter but thresholds and columns, and its fingerprint."""
    fields = dataclasses.fields(cast(Any, filter))
    return {f.name: getattr(filter, f.name) for f in fields if _decides_measure(f)}


def _decides_measure(field: dataclasses.Field[Any]) -> bool:
    if _mark(field) == "fitted":
        return field.name == "fingerprint"
    return _mark(field) != "threshold" and not is_column(field)


def numeric(measures: pl.DataFrame, by: str, field: str = "by") -> pl.Expr:
    """The values of a filter's `field` as Float64, NaN as null; `by` is the column that the recipe names in it.

    Raises UsageError where they are not numbers.
    """
    kind = measures.schema[field]
    if not kind.is_numeric() and kind != pl.Null:
        raise UsageError(f"rows can't be ranked by {by}, whose values are not numbers", "name a column of numbers")
    return pl.col(field).cast(pl.Float64).fill_nan(None)


def best_first(measures: pl.DataFrame, by: str | None, *then: str) -> pl.DataFrame:
    """The lines sorted by a filter's field `by`, where that names a column, then by `then`, then by `row`.

    Highest values come first and missing ones last; of equals the first row. Raises what `numeric` raises.
    """
    order: list[pl.Expr | str] = [*([] if by is None else [numeric(measures, by)]), *then]
    return measures.sort(*order, "row", descending=[True] * len(order) + [False], nulls_last=True)


def for_measuring(filter: Any) -> Filter:
    """A copy in which reading a threshold or a column raises: what `measure` used, it would have to be keyed by."""

    def forbidden(name: str) -> property:
        def read(_: object) -> None:
            raise TypeError(
                f"{type(filter).__name__}.measure reads {name}, which only decide may: "
                f"write `{name} = <default>` without threshold(), so that it becomes part of the measure's key"
            )

        return property(read)

    hidden = [f.name for f in dataclasses.fields(cast(Any, filter)) if _mark(f) != "fitted" and not _decides_measure(f)]
    masked = type(type(filter).__name__, (type(filter),), {name: forbidden(name) for name in hidden})
    copy: Any = object.__new__(masked)
    copy.__dict__.update({k: v for k, v in vars(filter).items() if k not in hidden})
    return cast(Filter, copy)


@contextmanager
def filter_faults(filter: str, where: str = "") -> Iterator[None]:
    """Turn what a filter's own code raises into a sentence for a person, with the line of code it comes from."""
    try:
        yield
    except CurateError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        at = next((frame for frame in reversed(frames) if "site-packages" not in frame.filename), frames[-1])
        raise StoppedError(
            f"filter {filter} failed{where and f' {where}'}: {type(error).__name__}: {error} "
            f"({at.filename.rpartition('/')[2]}:{at.lineno})",
            "mend the filter, then run the same command again: finished parts are kept",
        ) from error


def frame_fault(given: Any, rows: pl.Series) -> str:
    """What is wrong with what a filter gave for `rows`: one line for each is right, in their order; "": nothing is."""
    if not isinstance(given, pl.DataFrame):
        return f"gave {type(given).__name__}, a DataFrame was expected"
    if len(given) != len(rows):
        return f"gave {len(given)} lines for {len(rows)} rows"
    if "row" in given.columns and not given["row"].equals(rows):
        return "gave the rows in another order"
    return ""


def check_bounds(name: str, low: float | None, high: float | None) -> None:
    """Raises ValueError where no value of `name` could lie between `low` and `high`."""
    if low is not None and high is not None and low > high:
        raise ValueError(f"min_{name} is {low:,g} and max_{name} {high:,g}: nothing lies between them")


def check_selection(n: int | None, share: float | None) -> None:
    """Raises ValueError unless one of a number and a share of rows is given, as a filter that selects needs it."""
    if (n is None) == (share is None):
        raise ValueError("give one of n and share")
    if n is not None and n < 1:
        raise ValueError("n must be 1 or more")
    if share is not None and not 0 < share <= 1:
        raise ValueError("share must be above 0 and at most 1")


def how_many(n: int | None, share: float | None, rows: int) -> int:
    """How many of `rows` a filter selects: n, or the share of them and then at least one; never more than there are."""
    return min(rows, n if n is not None else max(1, round((share or 0) * rows)))


def within(
    measures: pl.DataFrame,
    column: str,
    low: float | None = None,
    high: float | None = None,
    what: str | None = None,
    unit: str = "",
) -> pl.DataFrame:
    """Keep rows whose measure lies in [low, high]; a null or NaN breaks no bound, a bound of None is off.

    The reason reads `response has 3 characters, fewer than 10`, or `loss is 0.2, less than 0.5` without a unit.
    """
    is_float = measures.schema[column].is_float()
    value = pl.col(column).fill_nan(None) if is_float else pl.col(column)
    shown = value.round(4).cast(pl.String) if is_float else value.cast(pl.String)
    says = f"{what or column} has {{}} {unit}" if unit else f"{what or column} is {{}}"
    fewer, more = ("fewer than", "more than") if unit else ("less than", "more than")
    verdict, reason = pl.lit("keep"), pl.lit(None, dtype=pl.String)
    limit = margin = pl.lit(None, dtype=pl.Float64)
    bounds = []
    if low is not None:
        bounds.append((low, value < low, value.cast(pl.Float64) - low, fewer))
    if high is not None:
        bounds.append((high, value > high, high - value.cast(pl.Float64), more))
    for bound, breaks, gap, words in bounds:
        nearer = margin.is_null() | (gap < margin)
        verdict = pl.when(breaks).then(pl.lit("drop")).otherwise(verdict)
        reason = pl.when(breaks).then(pl.format(f"{says}, {words} {bound:,g}", shown)).otherwise(reason)
        limit = pl.when(nearer).then(pl.lit(float(bound))).otherwise(limit)
        margin = pl.when(nearer).then(gap).otherwise(margin)
    return measures.select(
        verdict=verdict.cast(VERDICT), reason=reason, value=value.cast(pl.Float64), threshold=limit, margin=margin
    )


def keep_if(stays: pl.Expr) -> pl.Expr:
    """The verdict on rows: `keep` where `stays` holds, else `drop`."""
    return pl.when(stays).then(pl.lit("keep")).otherwise(pl.lit("drop")).cast(VERDICT)


def said_where(rows: pl.DataFrame, may: pl.Expr, say: Callable[[pl.DataFrame], Iterable[str | None]]) -> pl.Series:
    """What `say`, which is slow, says of each row for which `may`, which is quick, holds; null of all others."""
    at = rows.select(may.arg_true()).to_series()
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))
    return nothing.scatter(at, pl.Series(say(rows[at]), dtype=pl.String))


def unless_found(measures: pl.DataFrame, found: pl.Expr | str) -> pl.DataFrame:
    """Keep rows of which a text, a column or an expression, is null: what was found wrong is the reason."""
    nothing = pl.lit(None, dtype=pl.Float64)
    said = measures.select(reason=found, value=nothing, threshold=nothing, margin=nothing)
    return said.select(pl.all(), verdict=keep_if(pl.col("reason").is_null()))


def all_of(decisions: list[pl.DataFrame]) -> pl.DataFrame:
    """Keep what each of `decisions` keeps; a row speaks through the first that drops it, else the tightest margin."""
    joined = decisions[0]
    for other in decisions[1:]:
        both = pl.concat([joined, other.select(pl.all().name.suffix("_other"))], how="horizontal")
        drops, drops_other = pl.col("verdict") == "drop", pl.col("verdict_other") == "drop"
        tighter = pl.col("margin_other") < pl.col("margin")
        other_speaks = ~drops & (drops_other | tighter.fill_null(pl.col("margin").is_null()))
        joined = both.select(
            pl.when(other_speaks).then(pl.col(f"{name}_other")).otherwise(pl.col(name)).alias(name)
            for name in joined.columns
        )
    return joined
