"""Say that kernels are being compiled, as on a machine's first run; after that they lie in a cache."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event


class _Compiling(event.Listener):
    def __init__(self, notice: Callable[[str], None]) -> None:
        self.notice, self.said = notice, False

    def on_start(self, _: event.Event) -> None:
        if not self.said:
            self.said = True
            self.notice("compiling kernels, as on every machine's first run: a few seconds")

    def on_end(self, _: event.Event) -> None:
        pass


@contextmanager
def compiling_told(notice: Callable[[str], None]) -> Iterator[None]:
    """Within the block, say so once if a kernel, in whatever thread, is compiled and not loaded from the cache."""
    with event.install_listener("numba:compile", _Compiling(notice)):
        yield
