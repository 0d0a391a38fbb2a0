"""`arithmetic`: what is computed wrongly, and what only looks so."""

import pytest
from conftest import Reasons
from hypothesis import given
from hypothesis import strategies as st

from filters.arithmetic import _value

WRONG = [
    ("17 × 24 = 398.", "17 × 24 = 398, but it is 408"),
    ("36 * 0.75 = 29", "36 * 0.75 = 29, but it is 27"),
    ("48 × 7 = 326이므로 모두 326개입니다.", "48 × 7 = 326, but it is 336"),
    ("1,000 - 387 = 623입니다.", "1,000 - 387 = 623, but it is 613"),
    ("So 210 / 3 = 65 km/h.", "210 / 3 = 65, but it is 70"),
    ("(2 + 3) * 4 = 14", "(2 + 3) * 4 = 14, but it is 20"),
    ("2^10 = 1000", "2^10 = 1000, but it is 1,024"),
    ("She pays 3 x $4 = $15.", "3 x $4 = 15, but it is 12"),
    ("So Ann has $42 - $20 = $220 left.", "42 - $20 = 220, but it is 22"),
    ("192*100=$1920", "192*100 = 1920, but it is 19,200"),
    ("It is 6/3=.5 hour.", "6/3 = .5, but it is 2"),
    ("Add 40 + 40 / 2 = 45 + 20.", "40 + 40 / 2 = 45 + 20, but it is 60"),
    ("2 + 3 = 5 + 1 = 7", "5 + 1 = 7, but it is 6"),
    ("5.25 + $5.30 + $5.35 = 13.20", "5.25 + $5.30 + $5.35 = 13.20, but it is 15.9"),
    ("1/2 + 1/3 = 2/5", "1/2 + 1/3 = 2/5, but it is 0.833333"),
    ("12 = 3 * 5", "12 = 3 * 5, but it is 15"),
]
RIGHT = [
    "√16 + 2 = 6",
    "`5 ^ 3 = 6`",
    "Read pages 12-15 = 4 pages.",
    "1990-2000 = 10 years",
    "40 + 60 = $1",
    "A share of 3/4 = 75",
    "20 / 80 = 25 percent",
    "0.1 + 0.2 = 0.30000000000000004",
    "5 ^ 3 = 6, as XOR works on bits",
    "On a clock 10 + 5 = 3",
    "It is not true that 2 + 2 = 5.",
    "2 + 2 = 5라고 하면 틀립니다.",
    "17 × 24 = 408.",
    "22 / 7 = 3.14",
    "2 / 3 = 0.666",
    "7 / 2 = 3 R 1",
    "1/2 + 1/3 = 5/6",
    "She pays 3 x $4.50 = $13.50.",
    "<<48/2=24>>24, and .5 * 4 = 2",
    "x + 2 * 3 = 9",
    "At 12:30 - 2 = 5",
    "2x + 3 = 7",
    "9x - 21 = 339",
    "3 * 4 = 12y",
    "10 + 5 = 3 (mod 12)",
    "1 + 1 = 10 in binary",
    "5 + 3 == 9",
    "```python\nassert 2 + 2 == 5\ntotal = 2 + 2 = 5\n```",
    "2024-01-15 = a day",
    "9^9^9^9 = 5",
    "1 / 0 = 5",
    "50% * 20 = 10",
    "$1 / 2 = 50 cents",
    "2 + 3 = five",
    "3,5 + 1 = 4,5",
    "2 + 3 = 5 + 1 = 6",
    "It is $3/2 = $1.50+$3.00=$4.50",
    "It is 12 x 1 and 1/4 = 15",
    "The rest is 1 – 3/4 = 1/4",
    "It is ¾ x 3/3 = 9/12",
    "Half of 3/4 = 3/8",
    "He leaves at 0900-0130 = 0730.",
]


def test_a_wrong_computation_is_told_with_what_it_comes_to(reasons: Reasons) -> None:
    said = reasons([*[("?", text) for text, _ in WRONG], *[("?", text) for text in RIGHT]], "arithmetic")
    assert said == [reason for _, reason in WRONG] + [None] * len(RIGHT)


def test_what_the_prompt_states_is_not_the_responses_fault(reasons: Reasons) -> None:
    rows = [("Is 2 + 2 = 5 right?", "2 + 2 = 5 is wrong."), ("Add 2 and 2.", "2 + 2 = 5")]
    assert reasons([*rows, ("?", "!")], "arithmetic") == [None, "2 + 2 = 5, but it is 4", None]


numbers = st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str)
expressions = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})"),
    max_leaves=6,
)


@given(expressions)
def test_a_value_is_what_exact_arithmetic_says(text: str) -> None:
    from fractions import Fraction
    from re import sub

    exact = eval(sub(r"(\d+(?:\.\d+)?)", r"Fraction('\1')", text), {"Fraction": Fraction})
    assert _value(text) == exact


@pytest.mark.parametrize("text", ["1 + " * 250_000 + "1 = 5", "(" * 1_000_000, "1=" * 500_000, "9^" * 500_000 + "=1"])
def test_a_million_characters_of_the_worst_are_passed_over(reasons: Reasons, text: str) -> None:
    assert reasons([("?", text)], "arithmetic") == [None]
