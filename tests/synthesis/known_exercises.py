"""Exercises made at test time of the reference solutions of HumanEval and MBPP, which lie outside the repository."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from curate.synthesis.exercises import Exercise


class _Named(ast.NodeTransformer):
    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.name, node.ctx) if node.id == "candidate" else node


def humaneval(real_data: Path) -> Iterator[Exercise]:
    """Each assert of `check` is a test, where it consists of asserts alone that call the function."""
    for row in _rows(real_data / "eval_humaneval" / "HumanEval.jsonl"):
        name, solution = row["entry_point"], row["prompt"] + row["canonical_solution"]
        head = _function(solution, name)
        checks = _function(row["test"], "check").body
        tests = [ast.unparse(_Named(name).visit(check)) for check in checks if isinstance(check, ast.Assert)]
        tests = [test for test in tests if f"{name}(" in test]
        others = [check for check in checks if not isinstance(check, (ast.Assert, ast.Expr))]
        if not others and len(tests) >= 3:
            yield _exercise(head, solution, ast.get_docstring(head) or "", tests)


def mbpp(real_data: Path) -> Iterator[Exercise]:
    """The task's text, with its first test as an example."""
    for row in _rows(real_data / "eval_mbpp" / "mbpp.jsonl"):
        solution, tests = row["code"].replace("\r\n", "\n"), row["test_list"]
        first = ast.parse(tests[0]).body[0]
        called = {
            node.func.id for node in ast.walk(first) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        functions = [node.name for node in ast.parse(solution).body if isinstance(node, ast.FunctionDef)]
        named = [name for name in functions if name in called]
        if isinstance(first, ast.Assert) and named and not row["test_setup_code"]:
            shown = f"{row['text'].strip()}\n\n>>> {ast.unparse(first.test)}\nTrue"
            yield _exercise(_function(solution, named[0]), solution, shown, tests)


def _exercise(head: ast.FunctionDef, solution: str, docstring: str, tests: list[str]) -> Exercise:
    signature = ast.unparse(ast.FunctionDef(head.name, head.args, [ast.Pass()], [], head.returns, lineno=1))
    return Exercise(signature.split("\n")[0], docstring, solution, tuple(tests))


def _function(source: str, name: str) -> ast.FunctionDef:
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1]


def _rows(path: Path) -> Iterator[dict]:
    with path.open() as lines:
        yield from map(json.loads, lines)
