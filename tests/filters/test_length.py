"""`length`: characters are code points, tokens are an estimate, an absent answer breaks no bound."""

import unicodedata
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.length import Length

HAN = unicodedata.normalize("NFD", "한")
UNANSWERED = {"messages": [{"role": "user", "content": "Anyone?"}]}
CODE = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    ("response", "parameters", "reason"),
    [
        ("", {}, "response has 0 characters, fewer than 1"),
        (" ", {}, "response has 0 characters, fewer than 1"),
        ("7", {}, None),
        ("네", {}, None),
        ("", {"min_chars": None}, None),
        ("Paris.", {"min_chars": 6}, None),
        ("Paris.", {"min_chars": 7}, "response has 6 characters, fewer than 7"),
        ("서울입니다", {"min_chars": 5}, None),
        ("서울입니다", {"min_chars": 6}, "response has 5 characters, fewer than 6"),
        ("한", {"min_chars": 2}, "response has 1 characters, fewer than 2"),
        (HAN, {"min_chars": 3}, None),
        (HAN, {"min_chars": 4}, "response has 3 characters, fewer than 4"),
        ("👩‍👩‍👧", {"max_chars": 5}, None),
        ("👩‍👩‍👧", {"max_chars": 4}, "response has 5 characters, more than 4"),
        (CODE, {"max_chars": 31}, None),
        (CODE, {"max_chars": 30}, "response has 31 characters, more than 30"),
        ("x" * 1500, {"max_chars": 1499}, "response has 1500 characters, more than 1,499"),
        (CODE, {"max_tokens": 8}, None),
        (CODE, {"max_tokens": 7}, "response has 8 estimated tokens, more than 7"),
        ("서울입니다", {"min_tokens": 3}, None),
        ("서울입니다", {"min_tokens": 4}, "response has 3 estimated tokens, fewer than 4"),
        ("ab", {"min_chars": 3, "min_tokens": 9}, "response has 2 characters, fewer than 3"),
    ],
)
def test_a_response_out_of_bounds_is_dropped(
    reasons: Any, response: str, parameters: dict[str, Any], reason: str | None
) -> None:
    assert reasons([("Say it.", response), UNANSWERED], {"length": parameters}) == [reason, None]


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        ("prompt", "prompt has 2 characters, fewer than 4"),
        ("response", "response has 3 characters, fewer than 4"),
        ("both", None),
    ],
)
def test_of_chooses_the_side(reasons: Any, of: str, reason: str | None) -> None:
    rows = [("Hi", "Yes"), ("Is it?", "It is.")]
    assert reasons(rows, {"length": {"of": of, "min_chars": 4}}) == [reason, None]


def test_a_row_without_a_response_breaks_no_bound(reasons: Any) -> None:
    assert reasons([UNANSWERED, ("Name a prime.", "")], {"length": {"min_chars": 1, "max_chars": 5}}) == [
        None,
        "response has 0 characters, fewer than 1",
    ]


def test_the_ledger_says_value_threshold_and_the_margin_to_the_nearer_bound(filtered: Any) -> None:
    result = filtered([("a", "12345"), ("b", "123456789"), ("c", "1")], {"length": {"min_chars": 3, "max_chars": 10}})
    assert result.ledger.select("verdict", "value", "threshold", "margin").rows() == [
        ("keep", 5.0, 3.0, 2.0),
        ("keep", 9.0, 10.0, 1.0),
        ("drop", 1.0, 3.0, -2.0),
    ]


texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=12)


@given(texts, st.integers(0, 12), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_a_verdict_depends_on_the_row_alone(responses: list[str], bound: int, random: Any) -> None:
    filter = Length(min_chars=bound, max_tokens=5)

    def verdicts(texts: list[str], cut: int) -> list[tuple[Any, ...]]:
        rows = pl.DataFrame({"row": range(len(texts)), "response": texts}, schema_overrides={"response": pl.String})
        measures = pl.concat([filter.measure(part) for part in (rows[:cut], rows[cut:])])
        return filter.decide(rows.select("row").hstack(measures), None).rows()  # type: ignore[arg-type]

    whole = verdicts(responses, len(responses))
    order = random.sample(range(len(responses)), len(responses))
    assert verdicts(responses, random.randint(0, len(responses))) == whole
    assert verdicts([responses[k] for k in order], 0) == [whole[k] for k in order]
    kept = sum(verdict == "keep" for verdict, *_ in whole)
    alone = pl.concat([Length().measure(_one(t)) for t in responses]) if responses else pl.DataFrame()
    assert kept == (len(alone.filter(pl.col("chars") >= bound, pl.col("tokens") <= 5)) if responses else 0)


def _one(text: str) -> pl.DataFrame:
    return pl.DataFrame({"row": [0], "response": [text]})
