"""Every attempt of a synthesis, one line of JSON each in the order of the plan: what was answered, what came of it.

`attempts.jsonl` is the resume: what stands in it is done. A line that a killed process left half written is cut off.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class Log:
    """The attempts of one synthesis. What was appended outlives this process when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        whole = _whole_bytes(path)
        if whole < path.stat().st_size:
            os.truncate(path, whole)

    def append(self, attempt: dict[str, Any]) -> None:
        """Add the next attempt."""
        self._file.write(orjson.dumps(attempt, option=orjson.OPT_APPEND_NEWLINE))
        self._file.flush()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _whole_bytes(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        end = size
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
