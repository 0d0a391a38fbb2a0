"""The disk that files are written to: how much is free, and what to say when it is full.

with disk_faults(work, output.parent):  # -> "the disk is full: 3 MB are left in /data", with the next step
    ...
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from curate.errors import CurateError, StoppedError

ALMOST_FULL = 64_000_000
"""Bytes free below which a fault in writing that Polars gives no number of is that of a full disk."""


@contextmanager
def disk_faults(*places: Path) -> Iterator[None]:
    """Turn what the file system says into a sentence with the next step; `places`: where files are written."""
    try:
        yield
    except CurateError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        told = re.search(r"\(os error (\d+)\)", str(error))  # how Polars says it
        unnumbered = told is None and "transport error" in str(error)  # Parquet's headers and footer did not fit
        if told is None and not isinstance(error, OSError) and not unnumbered:
            raise
        number = int(told[1]) if told else getattr(error, "errno", None)
        again = "run the same command again: what was finished is kept"
        fullest = min(places, key=bytes_free)
        full = number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        if full or (unnumbered and bytes_free(fullest) < ALMOST_FULL):
            left = bytes_shown(bytes_free(fullest))
            raise StoppedError(f"the disk is full: {left} are left in {fullest}", f"make room, then {again}") from error
        file = getattr(error, "filename", None)
        said = os.strerror(number) if number else str(error)
        raise StoppedError(f"{file}: {said}" if file else said, f"mend that, then {again}") from error


def bytes_free(path: Path) -> int:
    """Bytes free where `path` is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def bytes_shown(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
