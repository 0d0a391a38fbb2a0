"""Whom to tell that kernels are compiled. It loads no numba: what never calls a kernel never pays for it.

with compiling_told(print): ...   # "compiling kernels, as on every machine's first run: a few seconds", once
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: dict[Callable[[str], None], bool] = {}
"""Whom to tell, and whether it was told."""


@contextmanager
def compiling_told(notice: Callable[[str], None]) -> Iterator[None]:
    """Within the outermost such block of a listener, say so once if a kernel, in whatever thread, is compiled and not
    loaded from the cache.
    """
    if notice in _listeners:
        yield
        return
    _listeners[notice] = False
    try:
        yield
    finally:
        del _listeners[notice]


def tell(text: str) -> None:
    """Say it to whoever listens and was not told."""
    for listener, told in list(_listeners.items()):
        if not told:
            _listeners[listener] = True
            listener(text)
