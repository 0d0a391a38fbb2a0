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

from curate.errors import UsageError
from curate.processes import HOST, lives

_ABANDONED = re.compile(rf"\..+\.\d+-{HOST}-(\d+)\.tmp")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; what was written there takes the name `path` if the block ends well."""
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):  # a name that a person never gave
            error.filename = str(path)
        raise
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


def check_writable(folder: Path, remedy: str) -> None:
    """Raises UsageError where no file can be made in a folder, or in the first above it that is there: what the
    permissions say is not enough, since they stop no root, and a file system may be one to read from only."""
    folder = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    file = temporary_name(folder / "tried")
    try:
        file.touch()
        file.unlink()
    except OSError as error:
        named = "the current folder" if folder == Path() else folder
        raise UsageError(f"{named} can't be written: {error.strerror}", remedy) from None


def remove_abandoned(folder: Path) -> None:
    """Delete what processes of this machine that were killed left half written in `folder`."""
    for file in folder.iterdir():
        found = _ABANDONED.fullmatch(file.name)
        if found and not lives(int(found[1])):
            file.unlink(missing_ok=True)
