"""`curate eval code`: answers of a model run in the real sandbox, against the tests of real problems."""

import json
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import Server, chat_answer
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import InputError, StoppedError, UsageError
from curate.evaluating.code import evaluate_code, pass_at, program_of, run_programs
from curate.evaluating.problems import Problem, load_problems
from curate.working import Working
from tests.conftest import write_rows

DOUBLE = {
    "task_id": "T/0",
    "prompt": 'import math\n\n\ndef double(x: int) -> int:\n    """Twice x."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(3) == 6\n    assert candidate(-1) == -2\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to add.",
    "code": "def sum(a, b):\r\n    return a + b",
    "test_setup_code": "from math import pi",
    "test_list": ["assert sum(1, 2) == 3", "assert sum(pi, 0) == pi"],
}


def problem(here: Path, record: dict[str, Any] = DOUBLE) -> Problem:
    write_rows(here / "problems.jsonl", [record])
    return load_problems("problems.jsonl")[0]


@given(st.integers(1, 30), st.data())
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_answer(many: int, data: st.DataObject) -> None:
    right, k = data.draw(st.integers(0, many)), data.draw(st.integers(1, many))
    found = pass_at(k, np.array([many], dtype=float), np.array([right], dtype=float))[0]
    assert found == pytest.approx(1 - comb(many - right, k) / comb(many, k))


@pytest.mark.parametrize(
    "answer",
    [
        "    return 2 * x\n",
        "```python\n    return 2 * x\n```",
        "Here it is:\n```python\ndef double(x):\n    return 2 * x\n```\nIt doubles.",
        "First an idea:\n```\nx + x\n```\nThen:\n```py\ndef double(x):\n    return math.prod([2, x])\n```",
        "def double(x):\n    return 2 * x",
        "```python\ndef double(x):\n    return 2 * x",
        "두 배로 만듭니다.\n```python\ndef double(x):\n    return x * 2  # 두 배\n```",
    ],
)
def test_an_answer_may_go_on_from_the_problem_or_stand_for_itself(here: Path, answer: str) -> None:
    asked = problem(here)
    (tried,) = run_programs([(asked, 0, program_of(asked, answer))], Working())
    assert tried.passed, tried


@pytest.mark.parametrize(
    "answer", ["    return None\n", "I can't.", "```python\nwhile True: pass\n```", "", "import os\nos._exit(0)"]
)
def test_what_does_not_pass_is_told_with_its_cause(here: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.evaluating.code.SECONDS", 1)
    asked = problem(here)
    (tried,) = run_programs([(asked, 0, program_of(asked, answer))], Working())
    assert not tried.passed
    assert tried.cause


def test_a_problem_of_mbpp_sees_its_setup_and_a_function_called_like_a_builtin(here: Path) -> None:
    asked = problem(here, MBPP)
    (tried,) = run_programs([(asked, 0, asked.solution)], Working())
    assert tried.passed, tried
    assert "assert sum(1, 2) == 3" in asked.question


@pytest.mark.parametrize(("name", "passing"), [("eval_humaneval/HumanEval.jsonl", 164)])
def test_every_reference_solution_passes_and_none_that_gives_nothing(real_data: Path, name: str, passing: int) -> None:
    problems = load_problems(str(real_data / name))
    right = run_programs(((each, 0, each.solution) for each in problems), Working())
    assert sum(tried.passed for tried in right) == passing == len(problems)
    wrong = run_programs(((each, 0, each.start + "    return None\n") for each in problems), Working())
    assert not any(tried.passed for tried in wrong)


def test_a_model_is_asked_so_many_times_and_a_second_call_asks_nothing(here: Path, server: Server) -> None:
    write_rows(
        here / "problems.jsonl", [DOUBLE, {**DOUBLE, "task_id": "T/1", "prompt": DOUBLE["prompt"] + "    # 2\n"}]
    )
    bodies = ["    return 2 * x\n", "    return x\n"]
    server.answer = lambda body, number: chat_answer(bodies[body["seed"] % 2])
    problems = load_problems("problems.jsonl")
    found = evaluate_code(server.model, problems, samples=10)
    assert found.passed[1].value == pytest.approx(0.5)
    assert found.passed[10].value == 1.0
    assert set(found.passed) == {1, 10}
    assert found.causes == {"test N failed: assert candidate(N) == N": 10} or sum(found.causes.values()) == 10
    lines = [json.loads(line) for line in (here / "eval_code.jsonl").read_text().splitlines()]
    assert [(line["problem"], line["sample"]) for line in lines] == [(f"T/{k}", n) for k in (0, 1) for n in range(10)]
    asked = len(server.asked)
    assert evaluate_code(server.model, problems, samples=10) == found
    assert len(server.asked) == asked == 20


def test_a_model_that_answers_nothing_and_files_without_problems_are_told_of(here: Path, server: Server) -> None:
    server.answer = lambda body, number: {"choices": []}
    asked = [problem(here)]
    with pytest.raises(StoppedError, match="answered nothing"):
        evaluate_code(server.model, asked)
    write_rows(here / "rows.jsonl", [{"instruction": "a", "output": "b"}])
    with pytest.raises(InputError, match=r"rows\.jsonl:1 is no problem"):
        load_problems("rows.jsonl")
    (here / "broken.jsonl").write_text("{")
    with pytest.raises(InputError, match=r"broken\.jsonl is not JSON lines"):
        load_problems("broken.jsonl")
    (here / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"empty\.jsonl holds no problem"):
        load_problems("empty.jsonl")
    with pytest.raises(UsageError, match="there is no file nowhere"):
        load_problems("nowhere")
