"""What Python code shows of itself, told from its syntax tree: nothing is run, and no model is asked.

`read_code(["import mylib\\ndef f(x):\\n    return x * 2"])` says that it imports `mylib` and has one function, of
complexity 1, without a docstring.
"""

import ast
import gc
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from curate.code.parsing import parse

BLOCK = re.compile(r"(?m)^[ \t]*```[ \t]*(?:python3?|py)[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.IGNORECASE)
UNNAMED_BLOCK = re.compile(r"(?m)^[ \t]*```[ \t]*\n(.*?)^[ \t]*```", re.DOTALL)
LOOKS_LIKE_PYTHON = (
    r"(?m)^[ \t]*(?:(?:async )?def \w+\s*\(|class \w+(?:\([\w., =]*\))?:|from [\w.]+ import |import \w[\w., ]*$|"
    r"if __name__ ==)"
)
"""Lines that stand in Python and in hardly anything else."""

LARGEST = 100_000
"""Characters of code that are parsed: a second of work, of which a teacher shows nobody so much at once."""

TOO_DEEP = re.compile(
    r"(?:(?:[-+~(\[{]|\bnot\b|\bawait\b|\blambda\b[^:\n]{0,40}:)\s*){150}"
    r"|(?:(?:\.\w+|\([^()\n]*\)|\[[^\[\]\n]*\])\s*){400}|(?:\*\*\s*-?\w+\s*){150}"
)
"""Expressions that would go deeper into the parser's stack than is wise."""

_DEEPER = ("(", "[", "{", ".", "-", "+", "~", "**", "not", "await", "lambda")
"""Without 150 of these no expression is deep, and the search, which takes as long as parsing, is spared."""


_GENERATED = re.compile(
    r"(?i)^[ \t]*(?:#|\"\"\").{0,80}\b"
    r"(?:generated (?:by|from|with)|auto-?generated|automatically generated|do not edit)\b",
    re.MULTILINE,
)
_PYTHON_2 = re.compile(
    r"(?m)^[ \t]*(?:print[ \t]+[\"'\w%]|exec[ \t]+[\"'\w]|raise \w+[ \t]*,)|except [\w., ()]+,[ \t]*\w+:|<>"
)
_CUT_OFF = re.compile(r"unexpected EOF|was never closed|unterminated|expected an indented block|expected ':'")

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPUTES = {
    *(ast.BinOp, ast.Compare, ast.BoolOp, ast.AugAssign, ast.UnaryOp, ast.IfExp, ast.Subscript, ast.Slice),
    *(ast.For, ast.AsyncFor, ast.While, ast.If, ast.comprehension, ast.Yield, ast.YieldFrom, ast.Return, ast.Match),
}
_LITERAL = {ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.keyword, ast.FormattedValue}
_DECIDES = {
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.comprehension, ast.ExceptHandler, ast.BoolOp),
    *(ast.Assert, ast.match_case),
}
_NO_NODES = """
arg asname attr conversion ctx id is_async kind level module name names op ops rest simple type_comment type_ignores
type_params
"""
_CHILDREN: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _NO_NODES.split())
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_CHILDREN[ast.Constant] = ()
"""Of each kind of node the fields in which others stand; operators are told by the node that has them."""

_OUTSIDE = {
    "file": {"open", "read_text", "write_text", "read_bytes", "write_bytes", "read_csv", "to_csv", "listdir"},
    "network": {"urlopen", "urlretrieve", "create_connection", "sendall", "connect", "recv"},
}


@dataclass
class Function:
    """A function. `arguments`, with its result, of which `annotated` have a type; `trivial`: it does nothing."""

    name: str
    complexity: int
    documented: bool
    arguments: int
    annotated: int
    trivial: bool


@dataclass
class Code:
    """What some code shows. `computing`, `literal`: shares of the nodes of its tree, docstrings not counted."""

    nodes: int = 0
    computing: int = 0
    literal: int = 0
    methods: int = 0
    documented: bool = False
    generated: bool = False
    comments: int = 0
    modules: set[str] = field(default_factory=set)
    local: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    functions: list[Function] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    recursive: bool = False
    classes: int = 0


def python_in(response: str, alone: bool) -> list[str]:
    """The Python code that a text shows: its blocks marked as such, else those that look like it, else all of it.

    `alone`: the text is no answer to anything, as a file of code is.
    """
    looks = re.compile(LOOKS_LIKE_PYTHON)
    if "```" in response:
        blocks = BLOCK.findall(response) or [b for b in UNNAMED_BLOCK.findall(response) if looks.search(b)]
        return [textwrap.dedent(block) for block in blocks]
    if not looks.search(response):
        return []
    return [response] if alone or isinstance(parsed(response), ast.Module) else []


def parsed(code: str) -> ast.Module | str:
    """The syntax tree, or why there is none; never raises, and goes no deeper than the interpreter bears."""
    if len(code) > LARGEST:
        return f"the code has {len(code):,} characters, more than {LARGEST:,}"
    if sum(map(code.count, _DEEPER)) >= 150 and TOO_DEEP.search(code):
        return "the code is nested too deep"
    try:
        return parse(code)
    except SyntaxError as error:
        if (older := _older(code)) != code and isinstance(tree := parsed(older), ast.Module):
            return tree
        at = (error.lineno or 1) - 1
        if _PYTHON_2.search("\n".join(code.splitlines()[at : at + 1])):
            return f"the code is Python 2 (line {error.lineno})"
        last = (error.lineno or 0) >= code.rstrip().count("\n") + 1
        if _CUT_OFF.search(str(error.msg)) and (last or "never closed" in str(error.msg) or "unterm" in str(error.msg)):
            return f"the code is cut off (line {error.lineno}: {error.msg})"
        return f"the code is no Python 3 (line {error.lineno}: {error.msg})"
    except ValueError:
        return "the code has a NUL in it"
    except (RecursionError, MemoryError):
        return "the code is nested too deep"


def _older(code: str) -> str:
    """The code without what only Python 3.12 to 3.14 know, so that what is said of it depends on no version."""
    code = re.sub(r"(?m)^([ \t]*except) ((?:[\w.]*[A-Z]\w*)(?:, [\w.]*[A-Z]\w*)+):", r"\1 (\2):", code)
    return re.sub(r"(?m)^([ \t]*(?:class|(?:async )?def) \w+)\[(?:[^\[\]\n]|\[[^\[\]\n]*\])*\]", r"\1", code)


def read_code(texts: list[str]) -> Code | str:
    """What pieces of code that belong together show; where none can be read, why."""
    with _uncollected():
        return _read_all(texts)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which finds nothing in trees and takes a third of the time that they take."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read_all(texts: list[str]) -> Code | str:
    trees = [parsed(text) for text in texts]
    read = [tree for tree in trees if isinstance(tree, ast.Module)]
    if not read:
        return next(tree for tree in trees if isinstance(tree, str))
    found = Code()
    for text, tree in zip(texts, trees, strict=True):
        if isinstance(tree, ast.Module):
            found.generated |= bool(_GENERATED.search(text[:2000]))
            found.comments += len(re.findall(r"(?m)^[ \t]*#(?!!)", text))
            _read(tree, found)
    return found


def _documentation(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _read(tree: ast.Module, found: Code) -> None:
    """Add what a tree shows: scope by scope, without recursion."""
    found.documented |= _documentation(tree.body)
    scopes: list[ast.Module | ast.FunctionDef | ast.AsyncFunctionDef] = [tree]
    while scopes:
        owner = scopes.pop()
        stack: list[Any] = owner.body[_documentation(owner.body) :]
        kinds: Counter[type] = Counter()
        called: set[str] = set()
        while stack:
            node = stack.pop()
            if node is None:  # in a list: a default or a key that is not there
                continue
            kind: Any = node.__class__
            kinds[kind] += 1
            if kind is ast.Name:
                found.names[node.id] += 1
                continue
            if kind is ast.Attribute:
                found.names[node.attr] += 1
            elif kind is ast.Call:
                called.add(str(getattr(node.func, "id", None) or getattr(node.func, "attr", "")))
            elif kind is ast.Import:
                found.modules.update(alias.name.partition(".")[0] for alias in node.names)
            elif kind is ast.ImportFrom:
                if node.level:
                    found.local.add("." * node.level + (node.module or ""))
                else:
                    found.modules.add((node.module or "").partition(".")[0])
            elif kind is ast.ClassDef:
                found.classes += 1
                found.methods += sum(isinstance(part, _FUNCTIONS) for part in node.body)
            elif kind is ast.FunctionDef or kind is ast.AsyncFunctionDef:
                scopes.append(node)
                stack += node.decorator_list
                continue
            for name in _CHILDREN[kind]:
                value = getattr(node, name, None)
                if value.__class__ is list:
                    stack += value
                elif value is not None:
                    stack.append(value)
        found.nodes += kinds.total()
        found.computing += sum(kinds[kind] for kind in _COMPUTES)
        found.literal += sum(kinds[kind] for kind in _LITERAL)
        for what, words in _OUTSIDE.items():
            if called & words:
                found.outside.add(what)
        if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef):
            found.recursive |= owner.name in called
            found.functions.append(_function(owner, kinds))


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, kinds: "Counter[type]") -> Function:
    arguments = [
        a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")
    ]
    annotated = sum(a.annotation is not None for a in arguments) + (node.returns is not None)
    complexity = 1 + sum(kinds[kind] for kind in _DECIDES)
    computes = any(kinds[kind] for kind in _COMPUTES if kind is not ast.Return)
    trivial = not computes and kinds.total() < 12
    return Function(node.name, complexity, _documentation(node.body), len(arguments) + 1, annotated, trivial)
