"""What the report shows of a run, from its ledger and its pool: counts, histograms, and some rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.embedding.words import on_a_plane
from curate.errors import CurateError
from curate.explaining import word_diff
from curate.ledger import RunDirectory, drops, kept_rows, kind_of
from curate.measuring import Measures
from curate.pool import Pool
from curate.reporting.charts import is_crowded
from curate.run import recipe_of
from curate.seeded import shuffled_rank
from curate.texts.languages import languages

SHOWN = 10
"""Rows of each kind that are shown of a step."""

CHARACTERS = 600
"""Characters of a text that are shown, of each side."""

DRAWN, TOGETHER = 2000, 100
"""Rows from which lengths, languages and turns before and after are told, and how many of them stand side by side: rows
spread evenly would have the whole pool read."""

ON_MAP, WORDS = 50, 90
"""Drawn rows from which a map is drawn, and how many characters of each a point shows."""

BINS = 30

TOPICS = 12
"""Topics of which bars are drawn; the rest are one more."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A row as the report shows it. `diff`: pieces of both texts (" "), of the row's ("-") and of its rival's ("+")."""

    place: str
    prompt: str
    response: str
    reason: str
    value: float | None
    rival: str = ""
    diff: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class StepFacts:
    """What one step did.

    `summary`: as `run.json` has it; `alone`: rows that no other step drops; `shared`: rows that another step drops as
    well, in the order of steps (itself: all it drops, the dead ones too); `bins`: start, end, rows kept and rows
    dropped, of the measure; `threshold`: where it lies; `curve`: threshold and the rows that it would leave;
    `reasons`: and rows.
    """

    summary: dict[str, Any]
    alone: int
    shared: list[int]
    bins: list[tuple[float, float, int, int]]
    threshold: float | None
    curve: list[tuple[float, int]]
    reasons: list[tuple[str, int]]
    nearest_kept: list[Example]
    nearest_dropped: list[Example]
    random: list[Example]


@dataclass(frozen=True)
class Shares:
    """Of a quantity the groups in order, and the share of rows in each, before and after."""

    name: str
    groups: list[str]
    before: list[float]
    after: list[float]


@dataclass(frozen=True)
class Point:
    """A row on the map: `x`, `y` from 0 to 1; `step`: which dropped it, None where it was kept; its first words."""

    x: float
    y: float
    step: str | None
    words: str


@dataclass(frozen=True)
class ReportFacts:
    """Everything that the report shows."""

    run: dict[str, Any]
    summary: dict[str, Any]
    steps: list[StepFacts]
    shares: list[Shares]
    drawn: int
    points: list[Point]


def facts_of(run: RunDirectory, pool: Pool) -> ReportFacts:
    """What a finished run did; texts are read of the rows that are shown, and of at most 2,000 drawn ones."""
    parts = run.step_parts()
    dropped_by = np.zeros(len(pool), dtype=np.uint64)  # a bit for each step
    for bit, part in enumerate(parts[:64]):
        drops = pl.scan_parquet(part).filter(pl.col("verdict") == "drop").select("row").collect()["row"]
        dropped_by[drops.to_numpy()] |= np.uint64(1 << bit)
    facts = run.read_facts()
    summary, seed = facts["summary"], facts["seed"]
    steps = [
        _step(part, done, bit, dropped_by, len(parts), pool, seed)
        for bit, (part, done) in enumerate(zip(parts, summary["by_step"], strict=True))
    ]
    kept = kept_rows(run, len(pool))
    drawn = _drawn(pool, seed)
    shares = _before_and_after(drawn, kept) + _topics(run, pool, kept)
    return ReportFacts(facts, summary, steps, shares, len(drawn), _points(drawn, kept, run))


def _step(
    part: Any, summary: dict[str, Any], bit: int, dropped_by: npt.NDArray[np.uint64], steps: int, pool: Pool, seed: int
) -> StepFacts:
    frame = pl.read_parquet(
        part, columns=["row", "alive", "verdict", "kept", "reason", "value", "threshold", "margin", "rival"]
    )
    alive = frame.filter("alive").with_row_index("at")
    mine = dropped_by & np.uint64(1 << bit) != 0
    gone = alive.filter(~pl.col("kept"))
    stayed = alive.filter(pl.col("kept"))
    threshold = gone["threshold"].mode().sort().to_list() or stayed["threshold"].drop_nulls().mode().sort().to_list()
    near_kept = stayed.filter(pl.col("margin").is_not_null()).sort("margin", "row").head(SHOWN)
    near_gone = gone.filter(pl.col("margin").is_not_null()).sort("margin", "row", descending=[True, False]).head(SHOWN)
    chance = gone.filter(pl.Series(np.argsort(np.argsort(shuffled_rank(gone["row"].to_numpy(), seed))) < SHOWN))
    reasons = gone.group_by(kind_of("reason")).len().sort("len", "reason", descending=[True, False]).head(SHOWN)
    limit = float(threshold[0]) if threshold and threshold[0] is not None else None
    return StepFacts(
        summary=summary,
        alone=int((dropped_by[mine] == np.uint64(1 << bit)).sum()),
        shared=[int((dropped_by[mine] & np.uint64(1 << other) != 0).sum()) for other in range(steps)],
        bins=_bins(stayed["value"], gone["value"], limit),
        threshold=limit,
        curve=_curve(stayed, gone),
        reasons=[(reason or "no reason given", count) for reason, count in reasons.iter_rows()],
        nearest_kept=_examples(near_kept, pool),
        nearest_dropped=_examples(near_gone, pool),
        random=_examples(chance, pool),
    )


def _finite(values: pl.Series) -> Values:
    return values.drop_nulls().filter(values.drop_nulls().is_finite()).to_numpy().astype(np.float64)


def _bins(stayed: pl.Series, gone: pl.Series, threshold: float | None) -> list[tuple[float, float, int, int]]:
    """Rows kept and dropped by their value, from the threshold to the usual dropped value at least.

    Those beyond that and beyond the middle 99 % are in the outermost bins.
    """
    kept, dropped = _finite(stayed), _finite(gone)
    every = np.concatenate((kept, dropped))
    if len(np.unique(every[:100_000])) < 2:
        return []
    ends = [*np.quantile(every, (0.005, 0.995)), *([] if threshold is None else [threshold])]
    ends += [np.median(dropped)] if len(dropped) else []
    low, high = min(ends), max(ends)
    if low == high:
        low, high = every.min(), every.max()
    edges = np.linspace(low, high, BINS + 1)
    if is_crowded(low, float(np.median(every)), high):
        edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), BINS + 1))
    counts = [np.histogram(np.clip(values, low, high), edges)[0] for values in (kept, dropped)]
    return [(float(edges[k]), float(edges[k + 1]), int(counts[0][k]), int(counts[1][k])) for k in range(BINS)]


def _curve(stayed: pl.DataFrame, gone: pl.DataFrame) -> list[tuple[float, int]]:
    """How many rows would stay at other thresholds; empty where the step has none, or drops on both sides."""
    below = (gone["value"] < gone["threshold"]).sum()
    above = (gone["value"] > gone["threshold"]).sum()
    kept, dropped = _finite(stayed["value"]), _finite(gone["value"])
    if not len(dropped) or (below and above):
        return []
    every = np.sort(np.concatenate((kept, dropped)))
    unmeasured = len(stayed) - len(kept)
    at = np.unique(np.quantile(every, np.linspace(0, 1, 41)))
    if below:
        left = len(every) - np.searchsorted(every, at, side="left")
    else:
        left = np.searchsorted(every, at, side="right")
    return [(float(x), int(n) + unmeasured) for x, n in zip(at, left, strict=True)]


def _examples(rows: pl.DataFrame, pool: Pool) -> list[Example]:
    """The rows, in their order, with their texts and, where one lost to a row of the pool, what differs."""
    rivals = [int(r[4:]) if r and r.startswith("row:") else -1 for r in rows["rival"]]
    texts = _texts(pool, {*rows["row"].to_list(), *(rival for rival in rivals if rival >= 0)})
    found = []
    for row, rival in zip(rows.iter_rows(named=True), rivals, strict=True):
        place, prompt, response = texts[row["row"]]
        diff, against = [], row["rival"] or ""
        if rival >= 0:
            against, asked, answered = texts[rival]
            diff = word_diff(f"{prompt}\n{response}", f"{asked}\n{answered}")
        found.append(Example(place, prompt, response, row["reason"] or "", row["value"], against, diff))
    return found


def _texts(pool: Pool, rows: set[int]) -> dict[int, tuple[str, str, str]]:
    """Place, prompt and response of some rows, cut to what is shown."""
    found = {}
    for frame in pool.texts(np.array(sorted(rows), dtype=np.int64), ["source", "line", "prompt", "response"]):
        cut = frame.with_columns(_cut("prompt"), _cut("response"))
        for row, source, line, prompt, response in cut.iter_rows():
            found[row] = (f"{source}:{line}", prompt, response)
    return found


def _cut(side: str) -> pl.Expr:
    text = pl.col(side).fill_null("")
    long = text.str.len_chars() > CHARACTERS
    return pl.when(long).then(text.str.head(CHARACTERS) + "…").otherwise(text).alias(side)


def _drawn(pool: Pool, seed: int) -> pl.DataFrame:
    """Drawn rows: the beginnings of both texts, the characters of the response, turns and language."""
    rows = np.arange(len(pool))
    if len(pool) > DRAWN:
        runs = np.arange(len(pool) // TOGETHER)
        drawn_runs = np.sort(np.argsort(shuffled_rank(runs, seed))[: DRAWN // TOGETHER])
        rows = (drawn_runs[:, None] * TOGETHER + np.arange(TOGETHER)).ravel()
    beginning = pl.col("prompt", "response").fill_null("").str.head(2 * CHARACTERS)
    read = pl.concat(
        frame.select(
            "row",
            beginning,
            characters=pl.col("response").str.len_chars().fill_null(0),
            turns=pl.col("messages").list.len(),
        )
        for frame in pool.texts(rows, ["prompt", "response", "messages"])
    )
    answered = languages(read["response"])["language"]
    asked = languages(read["prompt"], answered.is_null())["language"]
    return read.with_columns(language=answered.zip_with(answered.is_not_null(), asked).fill_null("unknown"))


def _points(drawn: pl.DataFrame, kept: npt.NDArray[np.bool_], run: RunDirectory) -> list[Point]:
    """The drawn rows on a map, where there are enough of them for one; those that were kept lie on top."""
    if len(drawn) < ON_MAP:
        return []
    text = pl.concat_str("prompt", "response", separator="\n")
    place = on_a_plane(drawn.select(text=text)["text"])
    low, high = np.quantile(place, (0.005, 0.995), axis=0)  # one row far out would press all others together
    place = np.clip((place - low) / np.where(high > low, high - low, 1), 0, 1)
    why = drops(run).select("row", "step")
    found = drawn.select(
        "row",
        words=text.str.replace_all(r"\s+", " ").str.head(WORDS).str.strip_chars(),
        stays=pl.Series(kept[drawn["row"].to_numpy()]),
    ).with_columns(x=pl.Series(place[:, 0]), y=pl.Series(place[:, 1]))
    found = found.join(why, on="row", how="left", maintain_order="left")
    step = pl.when(~pl.col("stays")).then(pl.col("step").fill_null("dropped"))
    found = found.sort("stays", "row").select("x", "y", step.alias("step"), "words")
    return [Point(*values) for values in found.iter_rows()]


def _before_and_after(drawn: pl.DataFrame, kept: npt.NDArray[np.bool_]) -> list[Shares]:
    """Length, language and turns of the drawn rows, and of those among them that were kept."""
    after = drawn.filter(pl.Series(kept[drawn["row"].to_numpy()]))
    starts = {"0": 0, "1+": 1, "10+": 10, "30+": 30, "100+": 100, "300+": 300, "1k+": 1000, "3k+": 3000, "10k+": 10_000}
    longest_first = reversed(starts.items())
    length = pl.coalesce(pl.when(pl.col("characters") >= start).then(pl.lit(label)) for label, start in longest_first)
    most = drawn["language"].value_counts(sort=True).sort("count", "language", descending=[True, False])
    named = most["language"].head(7).to_list()
    language = pl.when(pl.col("language").is_in(named)).then("language").otherwise(pl.lit("other"))
    turns = pl.when(pl.col("turns") > 9).then(pl.lit("10+")).otherwise(pl.col("turns").cast(pl.String))
    several = [str(n) for n in range(1, 10)] + ["10+"]
    return [
        _shares("characters of the response", length, list(starts), drawn, after),
        _shares("language", language, [*named, "other"], drawn, after),
        _shares("turns", turns, several, drawn, after),
    ]


def _topics(run: RunDirectory, pool: Pool, kept: npt.NDArray[np.bool_]) -> list[Shares]:
    """For each step with a measure `topic` the largest topics, of all rows that it told about and of those kept."""
    try:
        recipe = recipe_of(run)
    except CurateError:  # a plug-in that is gone can't say how it measured
        return []
    found = []
    for step, part in zip(recipe.steps, run.step_parts(), strict=False):
        measures = Measures(step, pool)
        if measures.kinds.get("topic") != pl.String:
            continue
        told = np.zeros(len(pool), dtype=np.bool_)
        told[pl.read_parquet(part, columns=["row"])["row"].to_numpy()] = True
        if not measures.holds(told) or not len(rows := measures.load(told, ["topic"]).drop_nulls("topic")):
            continue
        most = rows["topic"].value_counts().sort("count", "topic", descending=[True, False])["topic"].head(TOPICS)
        topic = pl.when(pl.col("topic").is_in(most.implode())).then("topic").otherwise(pl.lit("other"))
        after = rows.filter(pl.Series(kept[rows["row"].to_numpy()]))
        found.append(_shares(f"topic, by {step.name}", topic, [*most.to_list(), "other"], rows, after))
    return found


def _shares(name: str, group: pl.Expr, groups: Sequence[str], before: pl.DataFrame, after: pl.DataFrame) -> Shares:
    counted = [dict(rows.select(group=group)["group"].value_counts().iter_rows()) for rows in (before, after)]
    there = [group for group in groups if any(group in counts for counts in counted)]
    one, two = ([counts.get(group, 0) / max(sum(counts.values()), 1) for group in there] for counts in counted)
    return Shares(name, there, one, two)
