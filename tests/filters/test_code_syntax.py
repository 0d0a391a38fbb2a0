"""`code-syntax`: Python and JSON that can't be parsed, told from snippets, sessions and other languages."""

import json
from pathlib import Path

import pytest
from conftest import Filtered, Reasons


def block(code: str, language: str = "python") -> str:
    return f"Here it is:\n\n```{language}\n{code}\n```\n\nDone."


WRONG = [
    (block("def f(:\n    pass"), "the python block does not parse: line 1: "),
    (block("print('hello)"), "the python block does not parse: line 1: "),
    (block("if x == 1\n    print(x)"), "the python block does not parse: line 1: "),
    (block("for i in range(3):\nprint(i)", "py"), "the py block does not parse: line 2: "),
    (block("def f():\n    return (1", "python3"), "the python3 block does not parse: line 2: "),
    (block("print(1)") + block("def :"), "the python block does not parse: line 1: "),
    (block('{"a": 1,}', "json"), "the json block does not parse: line 1: "),
    (block("{'a': 1}", "json"), "the json block does not parse: line 1: "),
]
RIGHT = [
    block("Traceback (most recent call last):\n  File 'a.py', line 1\nNameError: x"),
    block("def f(x):\n    return x"),
    block("def first[T](items: list[T]) -> T:\n    return items[0]"),
    block("type Point = tuple[float, float]"),
    block("class Box[T]:\n    pass"),
    block('print(f"{names["Ann"]} is here")'),
    block("--- a.py\n+++ a.py\n@@ -1 +1 @@\n-x = (1\n+x = 1"),
    block(" def f(x):\n-    return (x\n+    return x"),
    block("    def f(x):\n        return x"),
    block("return x + 1"),
    block("await fetch(x)"),
    block("if not x:\n    continue"),
    block(">>> 1 +\n... 2\n3"),
    block("!pip install polars\nimport polars"),
    block("print 'hello'"),
    block("def f():\n    ..."),
    block("x = <your value>"),
    block("pip install polars"),
    block("def f( {", "javascript"),
    block("def f( {", ""),
    "```python\ndef f(:",
    block('{"a": [1, 2.5, null]}', "json"),
    block('{"a": 1, ...}', "json"),
    block('// a comment\n{"a": 1}', "json"),
    "def f(: is no Python.",
]


def test_a_block_that_does_not_parse_goes(reasons: Reasons) -> None:
    said = reasons([*[("?", text) for text, _ in WRONG], *[("?", text) for text in RIGHT]], "code-syntax")
    for reason, (_, begins) in zip(said, WRONG, strict=False):
        assert reason is not None
        assert reason.startswith(begins)
    assert reasons([("Show an example of a SyntaxError.", WRONG[0][0])], "code-syntax") == [None]
    assert said[len(WRONG) :] == [None] * len(RIGHT)


@pytest.mark.parametrize("code", ["(" * 90_000, "[" * 1_000_000, "x=1\n" * 250_000, "```python\n" * 100_000])
def test_a_million_characters_of_the_worst_do_no_harm(reasons: Reasons, code: str) -> None:
    assert len(reasons([("?", block(code)), ("?", "!")], "code-syntax")) == 2


def test_real_answers_with_code_hardly_ever_fail(here: Path, real_data: Path, filtered: Filtered) -> None:
    rows = [json.loads(line) for line in (real_data / "code_python_origin/files.jsonl").read_text().splitlines()]
    kept = filtered([("?", block(row["content"])) for row in rows], "code-syntax").summary.kept
    assert kept >= len(rows) - 2
