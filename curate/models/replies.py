"""Every raw reply of a model, on disk as it arrives: no finished request is ever paid for twice.

`.curate/replies.sqlite`, a table of key (model, prompt, sampling) and reply; what is parsed out of a reply lies
elsewhere, so that a better parser reads old replies for nothing. Several runs may share the file at once: before one
asks, it claims the key in the table `claims`, and the others wait for its reply. A claim ends with its process.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from curate.models.requests import Reply
from curate.processes import is_running, number_of, own_name

AT_ONCE = 500
"""Keys of one look-up."""

BUSY_SECONDS = 60


class Replies:
    """The cache of replies of a work directory."""

    def __init__(self, path: Path) -> None:
        self.recovered: int | None = None
        """How many replies were saved from a damaged file; None: it was whole."""
        if _is_damaged(path):
            self.recovered = _recover(path)
        self._connection = _connect(path)
        self._owner = own_name()

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Reply]:
        """The replies there are to these requests."""
        return {key: Reply.from_bytes(raw) for key, raw in self._rows("key, reply FROM replies", keys)}

    def claim(self, keys: Sequence[bytes], anyway: bool = False) -> set[bytes]:
        """Those of the keys that are now for this process to ask: none has a reply, and no other process asks them.

        `anyway`: even if one does. Two that claim at once never get the same key.
        """
        with self._connection as transaction:
            transaction.execute("BEGIN IMMEDIATE")
            taken = {key for key, _ in self._rows("key, model FROM replies", keys)}
            owners = {} if anyway else dict(self._rows("key, owner FROM claims", keys))
            others = {owner for owner in owners.values() if owner != self._owner and is_running(owner)}
            free = [key for key in keys if key not in taken and owners.get(key) not in others]
            rows = [(key, self._owner) for key in free]
            transaction.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?)", rows)
        return set(free)

    def claimed_by(self, keys: Sequence[bytes]) -> set[int]:
        """The numbers of the processes that ask these requests now."""
        return {number_of(owner) for _, owner in self._rows("key, owner FROM claims", keys)}

    def release(self, keys: Sequence[bytes]) -> None:
        """Leave requests to whoever wants to ask them."""
        with self._connection as transaction:
            rows = [(key, self._owner) for key in keys]
            transaction.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", rows)

    def keep(self, model: str, replies: Sequence[tuple[bytes, Reply]]) -> None:
        """Commit replies under their keys; of two to the same request the first committed stays."""
        with self._connection as transaction:
            rows = [(key, model, reply.to_bytes()) for key, reply in replies]
            transaction.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", rows)
            transaction.executemany("DELETE FROM claims WHERE key = ?", [row[:1] for row in rows])

    def _rows(self, what: str, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Any]]:
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            yield from self._connection.execute(f"SELECT {what} WHERE key IN ({','.join('?' * len(some))})", some)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


@contextmanager
def open_replies(work_dir: Path) -> Iterator[Replies]:
    """The cache of a work directory, until the block ends."""
    replies = Replies(work_dir / "replies.sqlite")
    try:
        yield replies
    finally:
        replies.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; a power cut the last moments
    connection.execute("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, model TEXT, reply BLOB)")
    connection.execute("CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, owner TEXT) WITHOUT ROWID")
    return connection


def _is_damaged(path: Path) -> bool:
    """Whether the file is no database, or shorter than its header says."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return True
    size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    return (65536 if size == 1 else size) * pages > path.stat().st_size


def _recover(path: Path) -> int:
    """Set a damaged file aside as `replies.damaged-N.sqlite`, carry over what can be read; returns how many replies."""
    number = len(list(path.parent.glob("replies.damaged-*.sqlite")))
    aside = path.with_name(f"replies.damaged-{number}.sqlite")
    for ending in ("", "-wal", "-shm"):
        if (file := path.with_name(path.name + ending)).exists():
            file.rename(aside.with_name(aside.name + ending))
    saved = 0
    with closing(_connect(path)) as whole, closing(sqlite3.connect(aside)) as damaged:
        with suppress(sqlite3.DatabaseError):  # at the first page that is not there
            damaged.execute("PRAGMA writable_schema=ON")  # else SQLite refuses a file that is too short
            for row in damaged.execute("SELECT key, model, reply FROM replies NOT INDEXED ORDER BY rowid"):
                with suppress(ValueError, TypeError):  # a page of something else
                    Reply.from_bytes(row[2])
                    whole.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", row)
                    saved += 1
        whole.commit()
    return saved
