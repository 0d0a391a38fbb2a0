"""Records as lines of JSON, some at a time, each with the place where it stood.

`joined_lines([b'{"a": 1}', b'{"a": 2}'], numbers)` holds two; what could not be cut out of its file stands beside them.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
ROWS_AT_A_TIME = 8192
MAX_LINE = 32 << 20
"""Default of --max-line: the longest record that is read, in bytes."""


@dataclass(frozen=True)
class Unread:
    """A record that could not be cut out of its file, with the cause; `head`: its first bytes."""

    line: int
    cause: str
    offset: int | None = None
    length: int | None = None
    head: bytes = b""


@dataclass
class Lines:
    """Some records in order: line k is `data[starts[k]:ends[k]]`, stood on line `numbers[k]` at byte `offsets[k]`."""

    data: bytes
    starts: Positions
    ends: Positions
    numbers: Positions
    offsets: Positions | None = None
    unread: list[Unread] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def head(self, n: int) -> "Lines":
        """The first `n` records, those that could not be read included."""
        if len(self) + len(self.unread) <= n:
            return self
        offsets = self.numbers if self.offsets is None else self.offsets
        places = [*zip(self.numbers.tolist(), offsets.tolist(), range(len(self)), strict=True)]
        places += [(record.line, record.offset or 0, -1 - k) for k, record in enumerate(self.unread)]
        first = [k for _, _, k in sorted(places)[:n]]
        head = self.take(np.array([k for k in first if k >= 0], dtype=np.int64))
        head.unread = [self.unread[-1 - k] for k in first if k < 0]
        return head

    def take(self, keep: npt.NDArray[Any]) -> "Lines":
        """The records that `keep`, a mask or positions, names."""
        offsets = None if self.offsets is None else self.offsets[keep]
        return Lines(self.data, self.starts[keep], self.ends[keep], self.numbers[keep], offsets, self.unread)


def nothing(unread: list[Unread]) -> Lines:
    """No records but those that could not be read."""
    none = np.zeros(0, dtype=np.int64)
    return Lines(b"", none, none, none, none, unread)


def joined_lines(records: list[bytes], numbers: Positions, unread: list[Unread] | None = None) -> Lines:
    """Records that stand in no file as lines."""
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends
    return Lines(b"".join(records), starts, ends, numbers, None, unread or [])


def too_long(record: Unread, length: int, max_line: int) -> Unread:
    """A record of `length` bytes, over `max_line`, with that as the cause."""
    cause = f"{length:,} bytes long, over --max-line {max_line:,}; raise it to read this record"
    return Unread(record.line, cause, record.offset, length, record.head)


def without_too_long(
    data: bytes,
    starts: Positions,
    ends: Positions,
    numbers: Positions,
    offsets: Positions | None,
    max_line: int,
    left_out: int = 0,
) -> Lines:
    """The values of `data` that are not too long; of the first, `left_out` bytes are not there any more."""
    lengths = ends - starts
    lengths[:1] += left_out
    long = lengths > max_line
    unread = []
    for k in np.flatnonzero(long):
        at = None if offsets is None else int(offsets[k])
        record = Unread(int(numbers[k]), "", at, head=data[starts[k] : ends[k]][:200])
        unread.append(too_long(record, int(lengths[k]), max_line))
    lines = Lines(data, starts, ends, numbers, offsets, unread)
    return lines.take(~long) if unread else lines
