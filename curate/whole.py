"""Files that are whole: written under a temporary name and renamed, so that a file that is there is finished.

with whole(path) as temporary:
    frame.write_parquet(temporary)
"""

import itertools
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from curate.processes import HOST, lives

_ABANDONED = re.compile(rf"\..+\.\d+-{HOST}-(\d+)\.tmp")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; what was written there takes the name `path` if the block ends well."""
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_and_new(folder: Path, stem: str, suffix: str) -> Iterator[Path]:
    """As `whole`, under the first free name of `STEM-0`, `STEM-1`, ...: nothing of another process is replaced."""
    temporary = temporary_name(folder / f"{stem}{suffix}")
    try:
        yield temporary
        for number in itertools.count(len(list(folder.glob(f"{stem}-*{suffix}")))):
            with suppress(FileExistsError):  # a link, unlike a rename, takes no name that is taken
                os.link(temporary, folder / f"{stem}-{number}{suffix}")
                break
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """As `whole`, with the temporary file open for bytes."""
    with whole(path) as temporary, temporary.open("wb") as file:
        yield file


def temporary_name(path: Path) -> Path:
    """Where a file is written before it is whole; `remove_abandoned` finds it by its name."""
    return path.with_name(f".{path.name}.{threading.get_ident()}-{HOST}-{os.getpid()}.tmp")


def remove_abandoned(folder: Path) -> None:
    """Delete what processes of this machine that were killed left half written in `folder`."""
    for file in folder.iterdir():
        found = _ABANDONED.fullmatch(file.name)
        if found and not lives(int(found[1])):
            file.unlink(missing_ok=True)
