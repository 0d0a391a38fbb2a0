"""An exercise, and when it counts: its solution does what its tests and docstring say, and the tests can tell.

`check(exercise, sandbox)` returns, or raises Lost with a stage and a reason: "bites: the tests also pass for a
function that only returns None".
"""

import ast
import doctest
import inspect
import math
import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass

from curate.code.parsing import parse
from curate.code.syntax import LARGEST, TOO_DEEP
from curate.sandbox import Outcome, Sandbox
from curate.synthesis.drafts import Lost
from curate.synthesis.mutants import mutants

_NAMES = """
__future__ abc array base64 bisect calendar cmath collections contextlib copy csv dataclasses datetime decimal difflib
enum fractions functools graphlib hashlib heapq html io itertools json keyword math numbers operator pprint random re
secrets statistics string struct textwrap types typing unicodedata uuid zlib
"""
ALLOWED = frozenset(_NAMES.split())
"""Modules that a solution may import: nothing of files, processes or networks."""

FEWEST_TESTS = 3
FEWEST_LETTERS = 20
"""Letters of a docstring before its first example: less states no behaviour."""
KILLED = 0.5
"""Share of the mutants that the tests must fail for. Of 60 exercises made of MBPP, whose tests people wrote, none is
below it, 3 are below 0.6 and 8 below 0.7 (`benchmarks/sandbox.py`): some mutants do what the solution does."""

MUTANT_SECONDS = 0.3
"""Of processor time, after which a mutant counts as one that never ends."""


@dataclass(frozen=True)
class Exercise:
    """A function's signature, its docstring without quotation marks, a whole solution, and tests."""

    signature: str
    docstring: str
    solution: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """The function's name. Raises Lost where the signature has none."""
        return _signature(self.signature).name

    @property
    def instruction(self) -> str:
        """What is asked: the function's head and docstring, to be completed."""
        head = (
            ast.unparse(_signature(self.signature)).split("\n", 1)[0] if ":" not in self.signature else self.signature
        )
        shown = self.docstring.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        return f'{head}\n    """{textwrap.indent(shown, "    ").strip()}\n    """'


def check(exercise: Exercise, sandbox: Sandbox, killed: float = KILLED, allowed: Collection[str] = ALLOWED) -> None:
    """Raises Lost where the exercise proves nothing. Stages: `parsed`, `executed`, `bites`.

    `killed`: the share of mutants that its tests must fail for; `allowed`: modules that may be imported.
    """
    check_form(exercise, allowed)
    check_runs(exercise, sandbox)
    check_bites(exercise, sandbox, killed)


def check_form(exercise: Exercise, allowed: Collection[str] = ALLOWED) -> None:
    """What can be told without running it."""
    head = _signature(exercise.signature)
    tree = _parsed(exercise.solution, "the solution")
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    found = [node for node in functions if node.name == head.name]
    if not found:
        raise Lost("parsed", f"the solution defines no function {head.name}, which the signature promises")
    if _parameters(found[-1]) != _parameters(head):
        raise Lost("parsed", f"the solution's {head.name} takes other arguments than the signature says")
    for text, what in ((exercise.solution, "the solution"), *((test, "a test") for test in exercise.tests)):
        _check_imports(_parsed(text, what), what, allowed)
    _check_docstring(exercise, head.name)
    calling = [test for test in exercise.tests if _tests(_parsed(test, "a test"), head.name)]
    if len(calling) < FEWEST_TESTS:
        raise Lost("parsed", f"{len(calling)} tests assert something of {head.name}, fewer than {FEWEST_TESTS}")


def check_runs(exercise: Exercise, sandbox: Sandbox) -> None:
    """Its tests and the docstring's examples hold, twice, with another seed of `random` each time."""
    first = _run(exercise, sandbox, exercise.solution, seed=1)
    if not first.passed:
        raise Lost("executed", first.cause)
    second = _run(exercise, sandbox, exercise.solution, seed=2)
    if not second.passed:
        raise Lost("executed", f"it passes once and not again: {second.cause}")


def check_bites(exercise: Exercise, sandbox: Sandbox, killed: float = KILLED) -> None:
    """Its tests fail for an empty body, and for at least `killed` of the mutants."""
    empty, *others = mutants(exercise.solution, exercise.name)
    if _run(exercise, sandbox, empty, examples=False).passed:
        raise Lost("bites", "the tests also pass for a function that only returns None")
    enough, dead = math.ceil(killed * len(others)), 0
    for number, mutant in enumerate(others, 1):
        if dead >= enough:
            return  # the rest decides nothing
        dead += not _run(exercise, sandbox, mutant, seconds=MUTANT_SECONDS, examples=False).passed
        if enough - dead > len(others) - number:
            raise Lost("bites", f"the tests also pass for {number - dead} of {number} wrong versions of the solution")


def _run(
    exercise: Exercise,
    sandbox: Sandbox,
    program: str,
    *,
    seconds: float | None = None,
    seed: int = 1,
    examples: bool = True,
) -> Outcome:
    return sandbox.run(
        program,
        exercise.tests,
        examples=inspect.cleandoc(exercise.docstring) if examples else "",
        names=(exercise.name,),
        seconds=seconds,
        seed=seed,
    )


def _signature(text: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    line = text.strip()
    tree = _parsed(f"{line}\n    pass" if line.endswith(":") else f"{line}:\n    pass", "the signature")
    if len(tree.body) != 1 or not isinstance(tree.body[0], (ast.FunctionDef, ast.AsyncFunctionDef)):
        raise Lost("parsed", "the signature is no line that begins a function")
    return tree.body[0]


def _parsed(text: str, what: str) -> ast.Module:
    if len(text) > LARGEST or TOO_DEEP.search(text):
        raise Lost("parsed", f"{what} is longer or deeper than can be parsed")
    try:
        return parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Lost("parsed", f"{what} does not parse: {error}") from None


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = node.args
    return [part.arg for part in (*given.posonlyargs, *given.args, *given.kwonlyargs)]


def _check_imports(tree: ast.Module, what: str, allowed: Collection[str]) -> None:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        for name in names:
            if name.partition(".")[0] not in allowed:
                raise Lost("parsed", f"{what} imports {name}, which is not allowed")


def _check_docstring(exercise: Exercise, name: str) -> None:
    text = inspect.cleandoc(exercise.docstring)
    letters = len(re.findall(r"\w", text.split(">>>")[0]))
    if letters < FEWEST_LETTERS:
        raise Lost("parsed", f"the docstring says what it does in {letters} letters, fewer than {FEWEST_LETTERS}")
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError as error:
        raise Lost("parsed", f"the docstring's examples do not parse: {error}") from None
    shown = [example for example in examples if (example.want or example.exc_msg) and name in example.source]
    if not shown:
        raise Lost("parsed", "the docstring has no example with its result")


def _tests(tree: ast.Module, name: str) -> bool:
    """Whether a test calls the function and asserts something."""
    nodes = list(ast.walk(tree))
    calls = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name for node in nodes
    )
    return calls and any(isinstance(node, (ast.Assert, ast.Raise, ast.Try)) for node in nodes)
