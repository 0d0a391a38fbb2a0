"""Drop a row whose Python code teaches nothing: it needs what is not there, or is configuration, or explains nothing.

"from .models import Page" ... is dropped: `the code needs what is not there: .models`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from curate.code.educational import worth
from curate.code.syntax import LOOKS_LIKE_PYTHON, Code, python_in, read_code
from curate.pool import Pool
from curate.protocol import all_of, threshold, unless_found, within

FEW = 20
"""Nodes of a tree: of a smaller one, as `print("hello")` has, no share says anything."""

_MAY_BE_PYTHON = rf"{LOOKS_LIKE_PYTHON}|(?i:```[ \t]*py)"
_KINDS: dict[str, Any] = {
    "score": pl.Float64,
    "topic": pl.String,
    "missing": pl.String,
    "outside": pl.String,
    "generated": pl.Boolean,
    "nodes": pl.Int64,
    "computing": pl.Float64,
    "literal": pl.Float64,
    "undocumented": pl.Int64,
    "documented": pl.Float64,
    "typed": pl.Float64,
    "fault": pl.String,
}


@dataclass(frozen=True, kw_only=True)
class EducationalCode:
    """Phi-1's reasons to leave code out, told from its syntax tree (Gunasekar et al. 2023, arXiv 2306.11644).

    Code blocks of the response that are Python, or a text that is; rows without Python are kept, and counted. The
    measure `score`, 0 to 1, is the mean of five: understood alone, computes, has functions, documented, typed; `topic`
    names what the code is about. No model is asked and nothing is run.
    """

    reads = ("prompt", "response")
    needs: bool = threshold(True)
    """Drop code that imports local modules, or such as are neither Python's own nor in common use."""
    outside: bool = threshold(False)
    """Drop code that reads or writes files or the network."""
    max_literal: float | None = threshold(0.45)
    """Largest share of the syntax tree that is constants, lists and keyword arguments: more is configuration."""
    min_computing: float | None = threshold(0.03)
    """Smallest share of the syntax tree that computes: operators, comparisons, loops, decisions, results."""
    max_complexity: int | None = threshold(10)
    """Highest cyclomatic complexity of a function without a docstring."""
    unreadable: bool = threshold(True)
    """Drop code that no Python 3 can parse: Python 2, cut off, nested too deep, over 100,000 characters."""
    at_least: float | None = threshold(None)
    """Smallest score to keep; None: only the reasons above decide."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        response = rows["response"].fill_null("")
        may = response.str.contains(_MAY_BE_PYTHON).arg_true()
        said = list(_measured(response.gather(may), rows["prompt"].gather(may)))
        found = pl.DataFrame(said, schema=_KINDS, orient="row").with_columns(may.alias("at"))
        lines = pl.DataFrame({"at": range(len(rows))}, schema={"at": may.dtype})
        return lines.join(found, on="at", how="left", maintain_order="left").drop("at")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        if without := measures.filter(pl.col("score").is_null() & pl.col("fault").is_null()).height:
            pool.notes.append(f"{without:,} rows have no Python code and are kept")
        decisions = [unless_found(measures, pl.coalesce(self._faults()))]
        if self.at_least is not None:
            decisions.append(within(measures, "score", low=self.at_least))
        return all_of(decisions)

    def _faults(self) -> Iterator[pl.Expr]:
        if self.unreadable:
            yield pl.col("fault")
        yield pl.when("generated").then(pl.lit("the code was generated"))
        if self.needs:
            yield pl.format("the code needs what is not there: {}", "missing")
        if self.outside:
            yield pl.format("the code works on what lies outside it: {}", "outside")
        large = pl.col("nodes") >= FEW
        if (most := self.max_literal) is not None:
            told = pl.format(f"{{}} of the code are constants, more than {most:g}", pl.col("literal").round(2))
            yield pl.when(large & (pl.col("literal") > most)).then(told)
        if (least := self.min_computing) is not None:
            told = pl.format(f"{{}} of the code compute, less than {least:g}", pl.col("computing").round(3))
            yield pl.when(large & (pl.col("computing") < least)).then(told)
        if (limit := self.max_complexity) is not None:
            told = pl.format(f"a function without docstring has complexity {{}}, more than {limit}", "undocumented")
            yield pl.when(pl.col("undocumented") > limit).then(told)


def _measured(responses: pl.Series, prompts: pl.Series) -> Iterator[tuple[Any, ...]]:
    """For each text a value of each of `_KINDS`."""
    for response, prompt in zip(responses, prompts, strict=True):
        blocks = python_in(response, alone=not re.search(r"\S", prompt))
        code = read_code(blocks) if blocks else None
        if not isinstance(code, Code):
            yield (*[None] * (len(_KINDS) - 1), code)
            continue
        found = worth(code)
        yield (
            *(found.score, found.topic, ", ".join(found.missing) or None, ", ".join(found.outside) or None),
            *(found.generated, code.nodes, found.computing, found.literal, found.undocumented),
            *(found.documented, found.typed, None),
        )
