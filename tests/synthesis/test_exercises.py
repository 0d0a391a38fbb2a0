"""An exercise counts when its solution does what is said and its tests can tell; else it is lost with a reason."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from chat_server import Server, chat_answer
from known_exercises import humaneval, mbpp

from curate.errors import StoppedError
from curate.sandbox import Limits, Sandbox
from curate.spending import Spending
from curate.synthesis.drafts import Lost
from curate.synthesis.exercises import Exercise, check
from curate.synthesis.mutants import mutants
from curate.synthesis.orders import Order
from curate.synthesis.synthesising import synthesise
from curate.working import Working

RIGHT = Exercise(
    "def longest(words: list[str]) -> str:",
    "The longest of the words, the first of equally long ones; an empty text for none.\n\n"
    ">>> longest(['a', 'bcd', 'efg'])\n'bcd'",
    "def longest(words: list[str]) -> str:\n    return max(words, key=len) if words else ''",
    (
        "assert longest(['a', 'bb']) == 'bb'",
        "assert longest([]) == ''",
        "assert longest(['x', 'y']) == 'x'",
        "assert longest(['aaa', 'b']) == 'aaa'",
    ),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=1)) as opened:
        yield opened


def lost(sandbox: Sandbox, **changes: Any) -> tuple[str, str]:
    """Stage and reason of the right exercise with a change."""
    with pytest.raises(Lost) as told:
        check(dataclasses.replace(RIGHT, **changes), sandbox)
    return told.value.stage, told.value.reason


def test_a_right_exercise_is_asked_as_a_function_to_complete(sandbox: Sandbox) -> None:
    check(RIGHT, sandbox)
    assert RIGHT.name == "longest"
    assert RIGHT.instruction == (
        "def longest(words: list[str]) -> str:\n"
        '    """The longest of the words, the first of equally long ones; an empty text for none.\n\n'
        "    >>> longest(['a', 'bcd', 'efg'])\n    'bcd'\n"
        '    """'
    )
    compile(RIGHT.instruction, "instruction", "exec")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signature": "longest(words)"}, "the signature does not parse: "),
        ({"signature": "x = 1"}, "the signature does not parse: "),
        ({"solution": "def longest(words) return ''"}, "the solution does not parse: "),
        ({"solution": "def short(words): return ''"}, "the solution defines no function longest, which the signature"),
        ({"solution": "def longest(word): return ''"}, "the solution's longest takes other arguments than the signat"),
        ({"solution": "import os\n" + RIGHT.solution}, "the solution imports os, which is not allowed"),
        ({"solution": "from os import path\n" + RIGHT.solution}, "the solution imports os, which is not allowed"),
        ({"tests": ("import subprocess",) * 3}, "a test imports subprocess, which is not allowed"),
        (
            {"docstring": "Longest.\n>>> longest(['a'])\n'a'"},
            "the docstring says what it does in 7 letters, fewer than",
        ),
        ({"docstring": "The longest of all the words given."}, "the docstring has no example with its result"),
        ({"docstring": "The longest of all the words.\n>>> longest(['a'])"}, "the docstring has no example with its"),
        (
            {"docstring": "가장 긴 낱말을 돌려줍니다. 같은 길이면 앞의 것, 없으면 빈 글.\n>>> x"},
            "the docstring has no example",
        ),
        ({"tests": RIGHT.tests[:2]}, "2 tests assert something of longest, fewer than 3"),
        ({"tests": ("longest([])",) * 5}, "0 tests assert something of longest, fewer than 3"),
        ({"tests": ("assert True",) * 5}, "0 tests assert something of longest, fewer than 3"),
        ({"solution": "x = " + "-" * 5000 + "1\n" + RIGHT.solution}, "the solution is longer or deeper than can be"),
    ],
)
def test_what_is_no_exercise_is_told_without_running_it(sandbox: Sandbox, changes: dict[str, Any], reason: str) -> None:
    stage, told = lost(sandbox, **changes)
    assert stage == "parsed"
    assert told.startswith(reason)


def test_a_solution_that_is_wrong_is_told_by_what(sandbox: Sandbox) -> None:
    last = RIGHT.solution.replace("max(words, key=len)", "max(reversed(words), key=len)")
    assert lost(sandbox, solution=last) == ("executed", "test 3 failed: assert longest(['x', 'y']) == 'x'")
    wrong = RIGHT.docstring.replace("'bcd'\n", "").replace("\n'bcd'", "\n'efg'")
    assert lost(sandbox, docstring=wrong) == ("executed", "example 1 gives 'bcd': longest(['a', 'bcd', 'efg'])")
    endless = "def longest(words: list[str]) -> str:\n    while True: pass"
    assert lost(sandbox, solution=endless) == ("executed", "it took longer than 1 s")


def test_a_solution_that_passes_by_luck_is_lost(sandbox: Sandbox) -> None:
    lucky = (
        "import random\nLUCK = random.random() < 0.5\ndef longest(words: list[str]) -> str:\n"
        "    return max(words, key=len) if words and LUCK else ''"
    )
    stage, reason = lost(sandbox, solution=lucky)
    assert stage == "executed"
    assert reason.startswith("it passes once and not again: test 1 failed")


def test_tests_that_tell_nothing_are_lost(sandbox: Sandbox) -> None:
    anything = ("assert longest(['a']) != 5", "assert longest([]) != 5", "assert longest(['a', 'b']) is not True")
    assert lost(sandbox, tests=anything) == ("bites", "the tests also pass for a function that only returns None")
    texts = tuple(f"assert isinstance(longest({words}), str)" for words in (["a"], ["a", "b"], ["b"]))
    stage, reason = lost(sandbox, tests=texts)
    assert stage == "bites"
    assert reason.endswith("wrong versions of the solution")


def test_right_exercises_are_accepted_and_wrong_ones_are_not(here: Path, server: Server, real_data: Path) -> None:
    """A model whose exercises are HumanEval's and MBPP's reference solutions, and what differs from them in one place.

    Of the wrong ones only those count that their tests can tell apart.
    """
    # Four of HumanEval's docstrings show what its own solution does not give.
    known = {"odd_count", "median", "circular_shift"}
    shown = [each for each in humaneval(real_data) if ">>>" in each.docstring and each.name not in known]
    right = [*shown[:30], *islice(mbpp(real_data), 40)]
    mutated = [
        dataclasses.replace(exercise, solution=text)
        for exercise in right
        for text in mutants(exercise.solution, exercise.name, most=4)[1:]
    ]
    with Sandbox() as sandbox:
        wrong = [each for each in mutated if not _passes(each, sandbox)]
    assert len(right) + len(wrong) >= 200
    texts = [orjson.dumps(dataclasses.asdict(each)).decode() for each in (*wrong, *right)]
    server.answer = lambda _, number: chat_answer(texts[(number - 1) % len(texts)])
    spending = Spending(max_tokens=8 * len(texts))  # what the server says that these answers took
    order = Order("exercises", server.model, benchmarks=(), working=Working(spending=spending))
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, len(texts))
    attempts = [orjson.loads(line) for line in (order.home / "attempts.jsonl").read_bytes().splitlines()]
    stage = {attempt["replies"][0]: attempt["stage"] for attempt in reversed(attempts) if attempt["replies"]}
    assert set(stage) == set(texts)
    of_right, of_wrong = (Counter(stage[text] for text in part) for part in (texts[len(wrong) :], texts[: len(wrong)]))
    assert of_right["accepted"] + of_right["unique"] >= 0.98 * len(right), of_right
    assert of_right["unique"] <= 3, "two of MBPP's tasks have one solution"
    assert of_wrong["accepted"] + of_wrong["unique"] <= 0.02 * len(wrong), of_wrong


def _passes(exercise: Exercise, sandbox: Sandbox) -> bool:
    return sandbox.run(exercise.solution, exercise.tests, names=(exercise.name,), seconds=0.3).passed
