"""`keep-top`: the best by any number; ties to the first, rows without a value last."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate
from curate.errors import UsageError
from filters.keep_top import KeepTop


def voted(*votes: Any) -> list[dict[str, Any]]:
    return [{"instruction": f"{k}?", "output": "."} | ({} if v is None else {"v": v}) for k, v in enumerate(votes)]


@pytest.mark.parametrize(
    ("values", "parameters", "expected"),
    [
        ([1, 3, 2], {"n": 2}, ["meta.v is 1, rank 3, only 2 are kept", None, None]),
        ([1, 3, 2], {"n": 1}, ["meta.v is 1, rank 3, only 1 are kept", None, "meta.v is 2, rank 2, only 1 are kept"]),
        ([1, 3, 2], {"n": 2, "order": "lowest"}, [None, "meta.v is 3, rank 3, only 2 are kept", None]),
        ([5, 5, 5], {"n": 2}, [None, None, "meta.v is 5, rank 3, only 2 are kept"]),
        ([5, 5, 5], {"n": 2, "order": "lowest"}, [None, None, "meta.v is 5, rank 3, only 2 are kept"]),
        (
            [None, 1, None],
            {"n": 1},
            ["no value of meta.v, rank 2, only 1 are kept", None, "no value of meta.v, rank 3, only 1 are kept"],
        ),
        ([None, 1, None], {"n": 2}, [None, None, "no value of meta.v, rank 3, only 2 are kept"]),
        (
            [None, 1, None],
            {"n": 1, "order": "lowest"},
            ["no value of meta.v, rank 2, only 1 are kept", None, "no value of meta.v, rank 3, only 1 are kept"],
        ),
        ([0.12346, 2.5], {"n": 1}, ["meta.v is 0.1235, rank 2, only 1 are kept", None]),
        ([1, 2, 3], {"n": 3}, [None, None, None]),
        ([1, 2, 3], {"n": 1000}, [None, None, None]),
        (
            [1, 2, 3, 4],
            {"share": 0.5},
            ["meta.v is 1, rank 4, only 2 are kept", "meta.v is 2, rank 3, only 2 are kept", None, None],
        ),
        (
            [1, 2, 3],
            {"share": 0.01},
            ["meta.v is 1, rank 3, only 1 are kept", "meta.v is 2, rank 2, only 1 are kept", None],
        ),
        ([1, 2, 3], {"share": 1.0}, [None, None, None]),
    ],
)
def test_the_best_are_kept(
    reasons: Any, values: list[Any], parameters: dict[str, Any], expected: list[str | None]
) -> None:
    assert reasons(voted(*values), {"keep-top": {"by": "meta.v", **parameters}}) == expected


def test_a_value_that_is_no_number_ranks_last(here: Path, reasons: Any) -> None:
    (here / "nan.py").write_text(
        "import dataclasses, polars as pl\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Nan:\n"
        "    reads = ('row', 'response')\n"
        "    def measure(self, rows):\n"
        "        return rows.select(x=pl.when(pl.col('row') == 1).then(float('nan')).otherwise(pl.col('row') * 1.0))\n"
    )
    for order, kept in (("highest", 2), ("lowest", 0)):
        said = reasons(voted(1, 1, 1), "nan", {"keep-top": {"n": 1, "by": "nan.x", "order": order}}, plugins=["nan.py"])
        assert said.index(None) == kept
        assert said[1] == "no value of nan.x, rank 3, only 1 are kept"


def test_by_a_column_of_the_pool_or_a_measure(reasons: Any) -> None:
    rows = [("a?", "긴 대답입니다"), ("b?", "짧다"), ("c?", "print('code')")]
    assert reasons(rows, {"keep-top": {"n": 1, "by": "line", "order": "lowest"}}) == [
        None,
        "line is 2, rank 2, only 1 are kept",
        "line is 3, rank 3, only 1 are kept",
    ]
    assert reasons(rows, "length", {"keep-top": {"n": 1, "by": "length.chars"}}) == [
        "length.chars is 7, rank 2, only 1 are kept",
        "length.chars is 2, rank 3, only 1 are kept",
        None,
    ]


@pytest.mark.parametrize("value", ["high", "10"])
def test_text_can_not_rank(reasons: Any, value: str) -> None:
    with pytest.raises(
        UsageError, match=r"rows can.t be ranked by meta.v, whose values are not numbers\nname a column of numbers"
    ):
        reasons(voted(value, 3), {"keep-top": {"n": 1, "by": "meta.v"}})


def test_value_threshold_and_margin_are_in_the_ledger(filtered: Any) -> None:
    result = filtered(voted(1, 4, 2, 2), {"keep-top": {"n": 2, "by": "meta.v"}})
    assert result.ledger.select("verdict", "value", "threshold", "margin").rows() == [
        ("drop", 1.0, 2.0, -1.0),
        ("keep", 4.0, 2.0, 2.0),
        ("keep", 2.0, 2.0, 0.0),
        ("drop", 2.0, 2.0, None),  # a tie lost by its row number has no margin that says so
    ]


def test_keep_sets_n_in_place_of_a_share(filtered: Any) -> None:
    result = filtered(voted(1, 2, 3, 4), {"keep-top": {"by": "meta.v", "share": 0.25}}, keep=3)
    assert result.kept["prompt"].to_list() == ["1?", "2?", "3?"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "give one of n and share"),
        ({"n": 1, "share": 0.5}, "give one of n and share"),
        ({"n": 0}, "n must be 1 or more"),
        ({"share": 0}, "share must be above 0 and at most 1"),
        ({"share": 1.5}, "share must be above 0 and at most 1"),
    ],
)
def test_a_number_that_can_not_be_is_refused(reasons: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"keep-top: {message}"):
        reasons(voted(1), {"keep-top": {"by": "meta.v", **parameters}})


@given(
    st.lists(st.none() | st.integers(-3, 3) | st.floats(allow_nan=True, width=16), min_size=1, max_size=20),
    st.integers(1, 25),
    st.sampled_from(["highest", "lowest"]),
)
@settings(max_examples=80, deadline=None)
def test_exactly_n_are_kept_and_more_with_a_larger_n(values: list[float | None], n: int, order: Any) -> None:
    import polars as pl

    frame = pl.DataFrame({"row": range(len(values)), "by": pl.Series(values, dtype=pl.Float64, strict=False)})

    def kept(n: int) -> set[int]:
        decided = KeepTop(by="meta.v", n=n, order=order).decide(frame, None)  # type: ignore[arg-type]
        return set(frame.filter(decided["verdict"] == "keep")["row"])

    assert len(kept(n)) == min(n, len(values))
    assert kept(n) <= kept(n + 1)


def test_the_recipe_longest_ranks_by_length(filtered: Any) -> None:
    rows = [("a?", "1"), ("b?", "12345"), ("c?", "123")]
    result = filtered(rows, recipe="longest", keep=2)
    assert isinstance(result, curate.Result)
    assert result.kept["prompt"].to_list() == ["b?", "c?"]
