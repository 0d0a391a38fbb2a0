"""What the engine promises to a filter, and what it holds a filter to."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import left_behind

import curate
from curate.errors import StoppedError, UsageError
from curate.protocol import all_of, within

ROWS = [("a?", "1"), ("b?", "22"), ("c?", "333")]

CHARS = """
@frozen
class Chars:
    '''Characters, by a unit.'''
    per_row = True
    version = {version}
    unit: int = 1
    most: int | None = threshold(None)

    def measure(self, rows):
        return rows.select(chars=pl.col("response").str.len_chars() * self.unit)

    def decide(self, measures, pool):
        return within(measures, "chars", high=self.most)
"""


def measured(result: "curate.Result") -> int:
    return result.summary.by_step[0].measured


@pytest.mark.parametrize(
    ("field", "recipe"),
    [("limit: int = threshold(3)", {}), ("limit: Column | None = None", {"limit": "line"})],
)
def test_a_threshold_or_column_read_in_measure_is_an_error_with_its_remedy(
    filtered: Any, plugin: Any, field: str, recipe: dict[str, Any]
) -> None:
    file = plugin(f"""
        @frozen
        class Peeks:
            {field}
            def measure(self, rows):
                return rows.select(x=pl.col("response").str.len_chars() > self.limit)
    """)
    with pytest.raises(StoppedError) as stopped:
        filtered(ROWS, {"peeks": recipe}, plugins=[file])
    assert "filter peeks failed on rows 0 to 2: TypeError: Peeks.measure reads limit, which only decide may: " in str(
        stopped.value
    )
    assert "write `limit = <default>` without threshold()" in str(stopped.value)


def test_a_changed_threshold_measures_nothing_anew_and_any_other_change_does(filtered: Any, plugin: Any) -> None:
    file = plugin(CHARS.format(version=1))

    def runs(**parameters: Any) -> tuple[int, int]:
        result = filtered(ROWS, {"chars": parameters}, plugins=[file])
        return measured(result), result.summary.kept

    assert runs() == (3, 3)
    assert runs(most=2) == (0, 2)
    assert runs(most=1) == (0, 1)
    assert runs(unit=2, most=2) == (3, 1)
    assert runs(unit=2, most=4) == (0, 2)
    assert runs() == (0, 3)
    plugin(CHARS.format(version=2))
    assert runs() == (3, 3)


def test_measures_are_shared_by_recipes_but_not_by_pools(filtered: Any) -> None:
    assert measured(filtered(ROWS, "length")) == 3
    assert measured(filtered(ROWS, {"length": {"max_chars": 2}, "as": "short"}, "exact-dup")) == 0
    assert measured(filtered(ROWS, recipe="default")) == 0
    assert measured(filtered(ROWS[:2], "length")) == 2
    assert measured(filtered(ROWS, "length", limit=2)) == 2
    assert measured(filtered(ROWS, "length", fresh=True)) == 3


MACHINE = """
import sys
from pathlib import Path
import curate.measuring
from curate.measuring import Measures
from curate.pool import read_pool
from curate.recipe import load_recipe

curate.measuring.RANGE = 100
work, number = Path(sys.argv[1]), int(sys.argv[2])
pool = read_pool(["raw.jsonl"], work)
for step in load_recipe("recipe.yaml").steps:
    measures = Measures(step, pool)
    for start in reversed(measures.missing()[number::2]):
        measures.measure_range(start)
"""


def test_several_machines_measure_ranges_in_any_order_to_the_same_bytes(
    here: Path, filtered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.measuring.RANGE", 100)
    steps = ("length", "turns", "exact-dup", "near-dup")
    rows = [(f"{k % 700}?", f"The answer to question {k % 800} is {'긴 ' * (k % 90)}{k % 7}.") for k in range(1050)]
    alone = filtered(rows, *steps)
    for number in ("0", "1"):  # each with a work directory of its own, which is sent back when it is done
        subprocess.run([sys.executable, "-c", MACHINE, f"machine-{number}", number], cwd=here, check=True)
        shutil.copytree(f"machine-{number}", "together", dirs_exist_ok=True)
    together = filtered(None, recipe="recipe.yaml", work_dir="together", output="together.jsonl")
    assert [step.measured for step in alone.summary.by_step] == [1050] * 4
    assert [step.measured for step in together.summary.by_step] == [0] * 4
    assert left_behind(together.run.path, here / "together.jsonl") == left_behind(
        alone.run.path, here / "curated.jsonl"
    )


def test_fitted_fields_are_filled_from_the_whole_pool_and_the_fingerprint_keys_the_measure(
    here: Path, filtered: Any, plugin: Any
) -> None:
    file = plugin("""
        @frozen
        class Surprise:
            mean: float | None = fitted()
            fingerprint: str | None = fitted()

            def prepare(self, pool):
                mean = pl.concat(pool.batches(["response"]))["response"].str.len_chars().mean()
                return dataclasses.replace(self, mean=mean, fingerprint=Path("weights").read_text())

            def measure(self, rows):
                return rows.select(over=pl.col("response").str.len_chars() - self.mean)

            def decide(self, measures, pool):
                return within(measures, "over", high=0.0)
    """)
    steps = ({"length": {"max_chars": 2}}, "surprise")
    (here / "weights").write_text("a")
    first = filtered(ROWS, *steps, plugins=[file])
    # the mean is 2: of all rows, though the longest was dropped before
    assert first.kept["prompt"].to_list() == ["a?", "b?"]
    assert filtered(ROWS, *steps, plugins=[file]).summary.by_step[1].measured == 0
    (here / "weights").write_text("b")
    assert filtered(ROWS, *steps, plugins=[file]).summary.by_step[1].measured == 3
    with pytest.raises(UsageError, match="surprise has no parameter fingerprint"):
        filtered(ROWS, {"surprise": {"fingerprint": "c"}}, plugins=[file])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("def measure(self, rows): return rows[:1].select(x=1)", "faulty.measure gave 1 lines for 3 rows"),
        ("def measure(self, rows): return [1, 2, 3]", "faulty.measure gave list, a DataFrame was expected"),
        ("def measure(self, rows): return 1 / 0", "filter faulty failed on rows 0 to 2: ZeroDivisionError: division by zero (plugged.py:13)"),  # noqa: E501
        ("def measure(self, rows): return rows.select('x')", "filter faulty failed on rows 0 to 2: ColumnNotFoundError"),  # noqa: E501
        ("def measure(self, rows): return rows.reverse()", "faulty.measure gave the rows in another order"),
        ("def prepare(self, pool): return 1 / 0", "filter faulty failed: ZeroDivisionError: division by zero (plugged.py:13)"),  # noqa: E501
        ("def decide(self, measures, pool): return 1 / 0", "filter faulty failed: ZeroDivisionError: division by zero (plugged.py:13)"),  # noqa: E501
        ("def decide(self, measures, pool): return None", "faulty.decide gave NoneType, a DataFrame was expected"),
        ("def decide(self, measures, pool): return measures.select(verdict=pl.lit('keep'))", "faulty.decide gave 1 lines for 3 rows"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select(reason=pl.col('row').cast(pl.String))", "faulty.decide gave no verdict on some row"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select(verdict=pl.when(pl.col('row') > 0).then(pl.lit('keep')))", "faulty.decide gave no verdict on some row"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select('row', verdict=pl.lit('keep'), score=1)", "faulty.decide gave the unknown column score; known: verdict, reason, value, threshold, margin, rival, evidence"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select('row', verdict=pl.lit('perhaps'))", "faulty.decide gave columns of other types"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select('row', verdict=pl.lit('keep')).reverse()", "faulty.decide gave the rows in another order"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select(verdict=pl.Series(['keep', 'drop', 'drop']), rival=pl.lit('row:2'))", "faulty.decide named the rival row:2, which it did not keep"),  # noqa: E501
        ("def decide(self, measures, pool): return measures.select(verdict=pl.Series(['keep', 'drop', 'drop']), rival=pl.lit('row:9'))", "faulty.decide named the rival row:9, which it did not keep"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_filter_that_breaks_the_protocol_stops_the_run_and_once_mended_the_run_goes_on(
    here: Path, filtered: Any, plugin: Any, fault: str, message: str
) -> None:
    good = "@frozen\nclass Faulty:\n    def measure(self, rows): return rows.select(x=pl.col('row') * 2)\n"
    fault = f"{good}    {fault}\n".replace("{good}", "")
    file = plugin("\n" + fault)
    with pytest.raises(StoppedError) as stopped:
        filtered(ROWS, "length", "faulty", plugins=[file])
    assert message in stopped.value.message
    assert stopped.value.remedy
    assert not (here / "curated.jsonl").exists()
    plugin(good)
    result = filtered(ROWS, "length", "faulty", plugins=[file])
    assert result.summary.kept == 3
    assert [run.name for run in (here / ".curate" / "runs").iterdir()] == [result.summary.run]


def test_a_fault_on_the_command_line_is_two_lines_and_status_1(curate_command: Any, here: Path, plugin: Any) -> None:
    file = plugin("@frozen\nclass Faulty:\n    def decide(self, measures, pool): return measures['nothing']\n")
    (here / "recipe.yaml").write_text("steps: [length, faulty]")
    (here / "raw.jsonl").write_text('{"instruction": "a?", "output": "b"}\n')
    command = ["filter", "raw.jsonl", "--recipe", "recipe.yaml", "--plugin", file]
    said = curate_command(*command, status=1).stderr
    assert "error: filter faulty failed: ColumnNotFoundError" in said
    assert "  -> mend the filter, then run the same command again: finished parts are kept" in said
    plugin("@frozen\nclass Faulty:\n    def measure(self, rows): return rows.select(x=1)\n")
    curate_command(*command)


def test_measures_of_python_lists_may_differ_in_type_between_batches(
    filtered: Any, plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.pool.reading.GROUP_ROWS", 1)
    file = plugin("""
        @frozen
        class Listed:
            def measure(self, rows):
                sizes = [len(r) if len(r) != 2 else None for r in rows["response"]]
                return pl.DataFrame({"size": [s / 2 if s == 3 else s for s in sizes]})
            def decide(self, measures, pool):
                return within(measures, "size", high=1)
    """)
    result = filtered(ROWS, "listed", plugins=[file])
    assert result.ledger["reason"].to_list() == [None, None, "size is 1.5, more than 1"]


def test_a_problem_in_only_some_batches_is_unscored_only_there(
    filtered: Any, plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.pool.reading.GROUP_ROWS", 1)
    monkeypatch.setattr("curate.measuring.RANGE", 1)
    file = plugin("""
        @frozen
        class Odd:
            def measure(self, rows):
                if 1 in rows["row"]:
                    return rows.select(size=pl.lit(None, dtype=pl.Float64), problem=pl.lit("too odd"))
                return rows.select(size=pl.col("row") * 1.0)
            def decide(self, measures, pool):
                return within(measures, "size", high=1)
    """)
    result = filtered(ROWS, "odd", {"keep-top": {"n": 1, "by": "odd.size"}}, plugins=[file])
    assert result.ledger.select("row", "step", "verdict", "reason").rows() == [
        (0, "odd", "keep", None),
        (1, "odd", "unscored", "too odd"),
        (2, "odd", "drop", "size is 2.0, more than 1"),
        (0, "keep-top", "keep", None),
        (1, "keep-top", "unscored", "too odd"),
    ]


def test_a_measure_that_can_not_take_no_rows_is_named_only_where_a_column_asks_for_it(
    filtered: Any, plugin: Any
) -> None:
    file = plugin("""
        @frozen
        class Greedy:
            def measure(self, rows):
                longest = max(map(len, rows["response"]))
                return rows.select(share=pl.col("response").str.len_chars() / longest)
    """)
    assert filtered(ROWS, "greedy", plugins=[file]).summary.kept == 3
    with pytest.raises(StoppedError, match="filter greedy failed on a frame without rows: ValueError: max"):
        filtered(ROWS, "greedy", {"keep-top": {"n": 1, "by": "greedy.share"}}, plugins=[file])


VALUES = pl.DataFrame({"x": [1.0, 2.5, None, float("nan")]})


@pytest.mark.parametrize(
    ("bounds", "verdicts", "reasons", "margins"),
    [
        ({}, "kkkk", [None] * 4, [None] * 4),
        ({"low": 1}, "kkkk", [None] * 4, [0.0, 1.5, None, None]),
        ({"low": 1.5}, "dkkk", ["x is 1.0, less than 1.5", None, None, None], [-0.5, 1.0, None, None]),
        ({"high": 2.5}, "kkkk", [None] * 4, [1.5, 0.0, None, None]),
        ({"high": 2}, "kdkk", [None, "x is 2.5, more than 2", None, None], [1.0, -0.5, None, None]),
        ({"low": 2, "high": 2.25}, "ddkk", ["x is 1.0, less than 2", "x is 2.5, more than 2.25", None, None], [-1.0, -0.25, None, None]),  # noqa: E501
    ],
)  # fmt: skip
def test_within_keeps_what_lies_between_the_bounds_and_what_has_no_value(
    bounds: dict[str, float], verdicts: str, reasons: list[str | None], margins: list[float | None]
) -> None:
    decided = within(VALUES, "x", **bounds)
    assert "".join(v[0] for v in decided["verdict"]) == verdicts
    assert decided["reason"].to_list() == reasons
    assert decided["margin"].to_list() == margins


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({}, "n is 1234, more than 1,000"),
        ({"what": "loss"}, "loss is 1234, more than 1,000"),
        ({"what": "answer", "unit": "words"}, "answer has 1234 words, more than 1,000"),
        ({"unit": "words"}, "n has 1234 words, more than 1,000"),
    ],
)
def test_the_reason_of_within_says_what_has_how_many_of_which_unit(words: dict[str, str], reason: str) -> None:
    assert within(pl.DataFrame({"n": [1234]}), "n", high=1000, **words)["reason"].to_list() == [reason]


def test_all_of_speaks_through_the_first_that_drops_else_through_the_tightest_margin() -> None:
    frame = pl.DataFrame({"a": [1, 5, 5, 9, None], "b": [1, 1, 5, 6, 3]})
    decided = all_of([within(frame, "a", low=2), within(frame, "b", low=2), within(frame, "b", high=100)])
    assert decided.select("verdict", "reason", "value", "margin").rows() == [
        ("drop", "a is 1, less than 2", 1.0, -1.0),
        ("drop", "b is 1, less than 2", 1.0, -1.0),
        ("keep", None, 5.0, 3.0),
        ("keep", None, 6.0, 4.0),
        ("keep", None, 3.0, 1.0),
    ]
