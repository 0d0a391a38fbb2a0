"""Wrong versions of a program, to see whether its tests can tell them apart from the right one.

`mutants("def f(a, b):\\n    return a + b", "f")` begins with a body that returns None, then `return a - b`, ...

One change each, from the classes of mutation testing (Offutt et al. 1996: operators, comparisons, constants,
conditions, left-out statements). Of many, those are taken that stand evenly over the program: always the same ones.
"""

import ast
import copy
from collections.abc import Iterator
from typing import Any

from curate.code.parsing import parse

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr},
    **{ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn},
    **{ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}
_EDGE: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
}
"""Comparisons that differ in one value only."""


def mutants(program: str, function: str, most: int = 12) -> list[str]:
    """At most `most` programs that differ from `program` in one place each; the first has an empty `function`.

    Raises SyntaxError for a program that does not parse, and LookupError where it has no such function.
    """
    tree = parse(program)
    empty = _emptied(tree, function)
    own = ast.unparse(tree)
    seen, others = {own, empty}, []
    for text in _changed(tree):
        if text not in seen:
            seen.add(text)
            others.append(text)
    room = max(0, most - 1)
    if len(others) > room:
        others = [others[number * len(others) // room] for number in range(room)]
    return [empty, *others][:most]


def _emptied(tree: ast.Module, function: str) -> str:
    changed = copy.deepcopy(tree)
    found = [
        node
        for node in changed.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function
    ]
    if not found:
        raise LookupError(f"no function {function}")
    for node in found:
        node.body = [ast.Return(ast.Constant(None))]
        node.decorator_list = []
    return ast.unparse(ast.fix_missing_locations(changed))


def _changed(tree: ast.Module) -> Iterator[str]:
    """Every single change, each made in the tree, written out, and undone."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
                continue
            if isinstance(value, list):
                for place, part in enumerate(value):
                    for other in _others(part, node):
                        value[place] = other
                        yield ast.unparse(ast.fix_missing_locations(tree))
                    value[place] = part
            elif isinstance(value, ast.AST):
                for other in _others(value, node):
                    setattr(node, name, other)
                    yield ast.unparse(ast.fix_missing_locations(tree))
                setattr(node, name, value)


def _others(part: Any, within: ast.AST) -> Iterator[ast.AST]:
    """What may stand in place of a part of the tree."""
    if type(part) in _SWAPPED:
        yield _SWAPPED[type(part)]()
    if type(part) in _EDGE:
        yield _EDGE[type(part)]()
    match part:
        case ast.Expr(value=ast.Constant()):
            return  # a docstring
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            if value == 1 and isinstance(within, (ast.BinOp, ast.Call, ast.Slice)):
                yield ast.Constant(0)
        case ast.Constant(value=str(value)) if not isinstance(within, (ast.Expr, ast.JoinedStr, ast.FormattedValue)):
            yield ast.Constant(value + "x" if value else "x")
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Assign() | ast.AugAssign() | ast.Expr():
            yield ast.Pass()
        case ast.If():
            yield ast.If(ast.Constant(True), part.body, part.orelse)
            yield ast.If(ast.Constant(False), part.body, part.orelse)
        case ast.Break():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Pass()
        case ast.Call(func=ast.Name(id="min"), args=args, keywords=keywords):
            yield ast.Call(ast.Name("max"), args, keywords)
        case ast.Call(func=ast.Name(id="max"), args=args, keywords=keywords):
            yield ast.Call(ast.Name("min"), args, keywords)
        case ast.Call(func=ast.Name(id="any"), args=args, keywords=keywords):
            yield ast.Call(ast.Name("all"), args, keywords)
        case ast.Call(func=ast.Name(id="all"), args=args, keywords=keywords):
            yield ast.Call(ast.Name("any"), args, keywords)
        case ast.Call(func=ast.Name(id="sorted"), args=[first, *_]):
            yield ast.Call(ast.Name("list"), [first], [])
        case ast.comprehension(target=target, iter=through, ifs=[_, *rest], is_async=later):
            yield ast.comprehension(target, through, rest, later)
