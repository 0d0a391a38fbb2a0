"""Whom to tell that kernels are compiled. It loads no numba: what never calls a kernel never pays for it.

with compiling_told(print): ...   # "compiling kernels, as on every machine's first run: a few seconds", once
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


@contextmanager
def compiling_told(notice: Callable[[str], None]) -> Iterator[None]:
    """Within the block, say so once if a kernel, in whatever thread, is compiled and not loaded from the cache."""
    said = False

    def once(text: str) -> None:
        nonlocal said
        if not said:
            said = True
            notice(text)

    _listeners.append(once)
    try:
        yield
    finally:
        _listeners.remove(once)


def tell(text: str) -> None:
    """Say it to whoever listens."""
    for listener in list(_listeners):
        listener(text)
