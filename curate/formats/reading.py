"""The records of a source, whatever its kind, as lines of JSON, a block at a time.

`{"instruction": "a"}\n\n{"instruction": "b"}\n` gives the lines 1 and 3.
"""

from collections.abc import Iterator

import numpy as np

from curate.formats.lines import MAX_LINE, Lines, Positions, Unread, nothing, too_long, without_too_long
from curate.formats.posts import read_posts
from curate.formats.sources import Source
from curate.formats.tables import read_separated, read_table


def read_lines(source: Source, max_line: int = MAX_LINE) -> Iterator[Lines]:
    """The records of `source`, in order, in blocks of about 8 MB, or, of a table, of 8,192 rows."""
    if source.kind in ("parquet", "arrow"):
        yield from read_table(source, max_line)
    elif source.kind in ("csv", "tsv"):
        yield from read_separated(source, max_line)
    elif source.kind == "json":
        yield from _values(source, max_line)
    elif source.kind == "xml":
        yield from read_posts(source, max_line)
    else:
        yield from _jsonl(source, max_line)


def _jsonl(source: Source, max_line: int) -> Iterator[Lines]:
    carry = b""
    at = 0  # offset of carry
    number = 1  # line number of carry
    skipped: Unread | None = None
    broken = ""
    for block in source.blocks():
        if isinstance(block, str):
            broken = block
            break
        if at == 0 and not carry and block.startswith(b"\xef\xbb\xbf"):
            block, at = block[3:], 3
        if skipped:
            newline = block.find(b"\n")
            if newline < 0:
                at += len(block)
                continue
            length = at + newline - (skipped.offset or 0)
            yield nothing([too_long(skipped, length, max_line)])
            block, at, number, skipped = block[newline + 1 :], at + newline + 1, number + 1, None
        data = carry + block
        newlines = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A)
        if len(newlines):
            starts = np.concatenate(([0], newlines[:-1] + 1))
            yield _records(data, starts, newlines, number, at, max_line)
            done = int(newlines[-1]) + 1
            carry, at, number = data[done:], at + done, number + len(newlines)
        else:
            carry = data
        if len(carry) > max_line:
            skipped = Unread(number, "", at, head=carry[:200])
            at, carry = at + len(carry), b""
    if skipped:
        yield nothing([too_long(skipped, at - (skipped.offset or 0), max_line)])
    if broken:
        yield nothing([Unread(number, broken, at, len(carry), carry[:200])])
    elif carry:
        yield _records(carry, np.zeros(1, np.int64), np.array([len(carry)]), number, at, max_line)


def _records(data: bytes, starts: Positions, ends: Positions, number: int, at: int, max_line: int) -> Lines:
    """The lines of `data` that are neither blank nor too long."""
    numbers = np.arange(number, number + len(starts), dtype=np.int64)
    view = np.frombuffer(data, dtype=np.uint8)
    lengths = ends - starts
    blank = lengths == 0
    spaced = np.flatnonzero(~blank & (view[np.minimum(starts, len(view) - 1)] <= 0x20))
    for k in spaced:  # a record rarely starts with white space
        blank[k] = not data[starts[k] : ends[k]].strip()
    long = lengths > max_line
    unread = [
        too_long(Unread(int(numbers[k]), "", at + int(starts[k]), head=data[starts[k] : starts[k] + 200]), n, max_line)
        for k in np.flatnonzero(long)
        if (n := int(lengths[k]))
    ]
    lines = Lines(data, starts, ends, numbers, starts + at, unread)
    return lines.take(~(blank | long)) if blank.any() or long.any() else lines


def _values(source: Source, max_line: int) -> Iterator[Lines]:
    from curate.kernels.json_values import DEPTH, IN_STRING, STARTED, STATE_SIZE, cut_values

    state = np.zeros(STATE_SIZE, dtype=np.int64)
    base = -1
    open_value = b""  # what is known of a value that goes on in the next block
    open_at, open_line = 0, 1
    left_out = 0  # bytes of it beyond --max-line
    at, number, broken = 0, 1, ""
    for block in source.blocks():
        if isinstance(block, str):
            broken = block
            break
        if base < 0:
            if block.startswith(b"\xef\xbb\xbf"):
                block, at = block[3:], 3
            base = 1 if block.lstrip()[:1] == b"[" else 0
        view = np.frombuffer(block, dtype=np.uint8)
        out = np.empty(len(view) + 1, dtype=np.uint8)
        most = len(view) // 2 + 2
        starts, ends, origins = (np.empty(most, dtype=np.int64) for _ in range(3))
        count, size, rest, rest_origin = cut_values(view, base, state, out, starts, ends, origins)
        starts, ends, origins = starts[:count], ends[:count], origins[:count]
        newlines = np.flatnonzero(view == 0x0A)
        numbers = number + np.searchsorted(newlines, origins)
        offsets = at + origins
        data = out[:size].tobytes()
        if count:
            if origins[0] < 0:
                data = open_value + data
                starts, ends = starts + len(open_value), ends + len(open_value)
                starts[0], numbers[0], offsets[0] = 0, open_line, open_at
                rest += len(open_value)
            yield without_too_long(data, starts, ends, numbers, offsets, max_line, left_out)
            open_value, left_out = b"", 0
        if state[STARTED]:
            if rest_origin >= 0:
                open_at, open_line = at + int(rest_origin), number + int(np.searchsorted(newlines, rest_origin))
                open_value = data[rest:]
            else:
                open_value += data
            if len(open_value) > max_line:
                left_out += len(open_value) - max_line
                open_value = open_value[:max_line]
        at += len(block)
        number += len(newlines)
    if broken:
        yield nothing([Unread(number, broken, at, None, open_value[:200])])
    elif state[STARTED] and not state[DEPTH] and not state[IN_STRING]:  # no JSON, as whoever parses it will say
        ends = np.array([len(open_value)])
        yield without_too_long(
            open_value, ends - ends, ends, np.array([open_line]), np.array([open_at]), max_line, left_out
        )
    elif state[STARTED] or state[DEPTH] > 0:
        if not state[STARTED]:
            open_line, open_at = number, at
        cause = "the JSON ends too early: a bracket or a quote that opens here is never closed"
        yield nothing([Unread(open_line, cause, open_at, at - open_at, open_value[:200])])
