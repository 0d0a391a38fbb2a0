"""Functions that do the same under other names: their syntax trees, as sequences, differ by few edits.

`def add(a, b): return a + b` and `def plus(x, y): return x + y` are equal: names that the code gives itself, types and
docstrings count for nothing; constants, operators, attributes and Python's own functions do.
"""

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from curate.code.syntax import parsed
from curate.kernels.edits import most_alike

Labels = npt.NDArray[np.uint16]

FEWEST = 30
"""Nodes of a function from which its form tells of it: `return a % b == 0` stands in thousands of programs."""

LEAST = 0.8
"""Below this share of equal nodes nothing is looked for: phi-1's authors tried 0.95 to 0.8 (arXiv 2306.11644)."""

_BUILT_IN = frozenset(dir(builtins))
_SKIPPED = frozenset(
    ("annotation", "returns", "type_comment", "ctx", "type_params", "decorator_list", "kind", "op", "ops")
)


@lru_cache(maxsize=1 << 16)
def _label(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) & 0xFFFF


def _said_by(node: ast.AST) -> str:
    """What a node says apart from what stands in it."""
    name = type(node).__name__
    if isinstance(node, ast.Constant):
        return f"{name} {node.value!r}"
    if isinstance(node, ast.Name):
        return f"{name} {node.id}" if node.id in _BUILT_IN else name
    if isinstance(node, ast.Attribute):
        return f"{name} {node.attr}"
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.AugAssign):
        return f"{name} {type(node.op).__name__}"
    if isinstance(node, ast.Compare):
        return f"{name} {' '.join(type(op).__name__ for op in node.ops)}"
    return name


def labels_of(function: ast.AST) -> Labels:
    """The nodes of a function in the order of the code, each as 16 bits; docstring and types left out."""
    found: list[int] = []
    stack: list[Any] = [function]
    while stack:
        node = stack.pop()
        found.append(_label(_said_by(node)))
        parts: list[Any] = []
        for name in node._fields:
            value = getattr(node, name, None)
            if name in _SKIPPED:
                continue
            if isinstance(value, list):
                parts += [part for part in value if isinstance(part, ast.AST) and not _says_nothing(part)]
            elif isinstance(value, ast.AST):
                parts.append(value)
        stack += reversed(parts)
    return np.array(found, dtype=np.uint16)


def _says_nothing(node: ast.AST) -> bool:
    """A docstring or another text that stands for itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def functions_in(code: str) -> list[Labels]:
    """The functions of some code that are long enough to tell, not those within them; none where it can't be read."""
    tree = parsed(code)
    if not isinstance(tree, ast.Module):
        return []
    outer = [*tree.body, *(part for node in tree.body if isinstance(node, ast.ClassDef) for part in node.body)]
    found = [labels_of(node) for node in outer if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [labels for labels in found if len(labels) >= FEWEST]


def codes_of(texts: Sequence[str]) -> list[str]:
    """Of the texts of a record those with Python functions, others empty; a body is put behind the text before it."""
    codes = []
    for k, text in enumerate(texts):
        body = k > 0 and text[:1] in (" ", "\t") and "def " in texts[k - 1]
        codes.append(texts[k - 1] + text if body else text if "def " in text else "")
    return codes


@dataclass(frozen=True)
class Functions:
    """The functions of test rows: function k is `labels[bounds[k] : bounds[k + 1]]` u16 and of the side `side[k]`."""

    labels: Labels
    bounds: npt.NDArray[np.int64]
    side: npt.NDArray[np.int64]

    @classmethod
    def of(cls, functions: Sequence[tuple[int, Labels]]) -> "Functions":
        """Functions, each with its side."""
        labels = [np.zeros(0, dtype=np.uint16), *(own for _, own in functions)]
        bounds = np.cumsum([0, *(len(own) for _, own in functions)], dtype=np.int64)
        return cls(np.concatenate(labels), bounds, np.array([side for side, _ in functions], dtype=np.int64))

    @classmethod
    def all(cls, parts: Sequence["Functions"], sides: Sequence[int]) -> "Functions":
        """Those of several files, one after the other; `sides`: how many each file has."""
        starts = np.cumsum([0, *sides])
        sizes = [np.diff(part.bounds) for part in parts]
        return cls(
            np.concatenate([part.labels for part in parts]),
            np.cumsum(np.concatenate([[0], *sizes]), dtype=np.int64),
            np.concatenate([part.side + start for part, start in zip(parts, starts, strict=False)]),
        )

    def of_sides(self, kept: npt.NDArray[np.bool_]) -> "Functions":
        """Those of some of the sides, which are numbered anew."""
        mine = kept[self.side]
        sizes = np.diff(self.bounds)
        return Functions(
            self.labels[np.repeat(mine, sizes)],
            np.cumsum(np.concatenate(([0], sizes[mine])), dtype=np.int64),
            (np.cumsum(kept) - 1)[self.side[mine]],
        )

    def most_like(self, codes: Sequence[str]) -> tuple[float, int] | None:
        """How alike a function of the codes and one of a side are at most, and the side; None below LEAST."""
        best = None
        for own in (own for code in codes for own in functions_in(code)):
            at, alike = most_alike(own, self.labels, self.bounds, LEAST)
            if at >= 0 and (best is None or alike > best[0]):
                best = (float(alike), int(self.side[at]))
        return best
