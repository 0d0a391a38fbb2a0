"""Python's own parser, by one thread at a time."""

import ast
import threading
import warnings

_ONE = threading.Lock()


def parse(code: str) -> ast.Module:
    """The syntax tree of a text, without what the parser has to say of escapes. Raises what `ast.parse` raises.

    Python 3.11 keeps the depth of the tree that it makes in one place for all threads, and where another thread makes
    one meanwhile it ends with "SystemError: AST constructor recursion depth mismatch" (CPython issue 106905); warnings
    are turned off for all threads, too.
    """
    with _ONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)
