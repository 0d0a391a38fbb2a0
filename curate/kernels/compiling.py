"""How kernels are compiled, and that a person is told while it is done.

@kernel
def count_newlines(data): ...
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit
from numba.core import event

from curate.kernels.told import tell

_not_cached: list[str] = []


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A loop that numba compiles on its first call, and keeps in its cache where that can be written.

    It cannot for a user without a home to whom the installed package does not belong, as in many containers; such a
    user waits at every run, unless NUMBA_CACHE_DIR names a folder. A shared one is never taken unasked: what lies in
    numba's cache is run.
    """
    if function is None:
        return partial(kernel, **options)
    # never called from C, nor, with such a name, from Python: wrappers for that take a fifth of the first run
    options |= {"nogil": True, "no_cfunc_wrapper": True, "no_cpython_wrapper": function.__name__.startswith("_")}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        _not_cached.append(function.__name__)
        return njit(**options)(function)


class _Compiling(event.Listener):
    def on_start(self, _: event.Event) -> None:
        when = "as on every machine's first run"
        if _not_cached:
            when = "as at every run (set NUMBA_CACHE_DIR to a folder that can keep them)"
        tell(f"compiling kernels, {when}: a few seconds")

    def on_end(self, _: event.Event) -> None:
        pass


event.register("numba:compile", _Compiling())
