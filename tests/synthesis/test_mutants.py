"""Wrong versions of a program: one change each, always the same ones, the empty body first."""

import ast

import pytest

from curate.synthesis.mutants import mutants

PROGRAM = '''
import math

def mean(xs: list[float], start: int = 0) -> float:
    """The mean of what is not negative."""
    total = 0
    for x in xs[start:]:
        if x < 0 and not math.isnan(x):
            continue
        total += x
    return total / max(1, len(xs))
'''


def test_the_first_returns_nothing_and_each_other_has_one_change() -> None:
    empty, *others = mutants(PROGRAM, "mean", most=100)
    assert ast.unparse(ast.parse(empty)).endswith("-> float:\n    return None")
    own = ast.unparse(ast.parse(PROGRAM)).splitlines()
    for other in others:
        lines = other.splitlines()
        assert len([line for line in own if line not in lines]) <= 2, other  # `if True:` changes its own line only
    changes = {line.strip() for other in others for line in other.splitlines()} - {line.strip() for line in own}
    assert {
        "if x >= 0 and (not math.isnan(x)):",
        "if x <= 0 and (not math.isnan(x)):",
        "if x < 0 or not math.isnan(x):",
        "if x < 0 and math.isnan(x):",
        "if True:",
        "if False:",
        "total -= x",
        "return total * max(1, len(xs))",
        "return total / min(1, len(xs))",
        "return None",
        "total = 1",
    } <= changes
    assert not any("import" in change or '"""' in change for change in changes)


def test_they_are_bounded_distinct_and_the_same_each_time() -> None:
    few = mutants(PROGRAM, "mean", most=6)
    assert len(few) == len(set(few)) == 6
    assert few == mutants(PROGRAM, "mean", most=6)
    assert few[0] == mutants(PROGRAM, "mean", most=1)[0]
    assert set(few) <= set(mutants(PROGRAM, "mean", most=100))
    for text in mutants(PROGRAM, "mean", most=100):
        ast.parse(text)


def test_what_cannot_be_mutated_is_told() -> None:
    assert mutants("def f(): pass", "f") == ["def f():\n    return None"]
    with pytest.raises(LookupError, match="no function g"):
        mutants("def f(): pass", "g")
    with pytest.raises(SyntaxError):
        mutants("def f(:", "f")
