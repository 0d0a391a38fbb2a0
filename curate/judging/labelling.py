"""A person's labels: a file with a line for each, written as they are given, and which row is to be seen next.

`{"id": "5f0c…", "label": "3"}` is one; a second one of the same row is a retest, a null label a row that was skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl
import xxhash

from curate.errors import StoppedError, UsageError
from curate.explaining import same_file
from curate.judging.rubrics import Rubric
from curate.pool import Pool

CHOSEN, REJECTED = "chosen", "rejected"
"""What a label of a pair says: the answer that the person prefers."""

UNDO, SKIP, QUIT, RUBRIC = "u", "s", "q", "?"
SPARE_KEYS = "1234567890abcdefghijklmnoprtvwxyz"

HANGUL = str.maketrans("ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", "qwertyuiopasdfghjklzxcvbnm")
"""The keys of a Korean keyboard in Hangul mode, where `u` types ㅕ."""

NAMES = '"id" (the field id of the row, or what `curate why` shows) or "row" (FILE:LINE, or a number from 0)'
"""How a label names its row."""

LEAST = 10
"""Rows with a label and a score, below which nothing can be told."""

AGAIN = 6
"""One row in so many is shown a second time."""


class Label(NamedTuple):
    """One line of labels. `place`: of the line; `row`: an id (curate's, or the row's own), `row:N` or `FILE:LINE`;
    `label`: None: skipped."""

    place: str
    row: str
    label: str | None


def values_of(rubric: Rubric) -> dict[str, float]:
    """Each label that a person can give, with its value: the rubric's own, of a pair the answer they prefer."""
    return {REJECTED: 0.0, CHOSEN: 1.0} if rubric.pairwise else dict(rubric.scale)


def labels_file(work_dir: Path, rubric: Rubric) -> Path:
    """Where labels by this rubric's scale are kept: for every pool and judge, and when the rubric is worded anew."""
    scale = xxhash.xxh3_64_hexdigest(repr([rubric.pairwise, *rubric.scale.items()]).encode())[:4]
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in rubric.name)
    return work_dir / "labels" / f"{name}-{scale}.jsonl"


def read_labels(path: Path, labels: Mapping[str, float]) -> list[Label]:
    """The lines of a file of labels. Raises UsageError, with the line, for what is none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}", "name a file of labels, a JSON object a line"
        ) from None
    return [_label(line, f"{path}:{number}", labels) for number, line in enumerate(lines, 1) if line.strip()]


def _label(line: bytes, place: str, labels: Mapping[str, float]) -> Label:
    example = f'as in {{"id": "0123…", "label": "{next(iter(labels))}"}}'
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{place} is not JSON: {error}", f"a line is one label, {example}") from None
    if not isinstance(given, dict) or "label" not in given:
        raise UsageError(f"{place} has no label", f"a line is one label, {example}")
    label = given["label"]
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if label is not None and (isinstance(label, bool) or str(label) not in labels):
        raise UsageError(f"{place}: label {label!r} is not on the scale", f"known: {', '.join(labels)}")
    return Label(place, _row_named(given, place), None if label is None else str(label))


def _row_named(given: Mapping[str, Any], place: str) -> str:
    match given:
        case {"id": str(name)}:
            return name
        case {"id": int(number)} if not isinstance(number, bool):
            return str(number)
        case {"row": int(number)} if not isinstance(number, bool) and number >= 0:
            return f"row:{number}"
        case {"row": str(name)}:
            return name
        case {"source": str(file), "line": int(line)}:
            return f"{file}:{line}"
    raise UsageError(f"{place} names no row", f'give {NAMES}, or "source" and "line"')


def check_enough(rows: int, file: Path, unscored: str = "") -> None:
    """Raises StoppedError where so few rows have a label that nothing can be told."""
    if rows < LEAST:
        raise StoppedError(
            f"{rows} rows have both a label and a score{unscored}; fewer than {LEAST} tell nothing",
            f"label more: the same command goes on, what was labelled is kept in {file}",
        )


def rows_of(given: Sequence[Label], pool: Pool) -> list[int | None]:
    """The row of the pool that each label names, the first of several with the same content; None where there is none.

    Raises UsageError for FILE:LINE that holds several rows.
    """
    names = {label.row for label in given}
    lines = {int(line) for _, _, line in (name.rpartition(":") for name in names) if line.isdecimal()}
    files = {
        name: [n.rpartition(":")[0] for n in names if same_file(name, n.rpartition(":")[0])] for name in pool.names
    }
    found: dict[str, int] = {}
    several: set[str] = set()
    for frame in pool.batches(["id", "source", "line", "meta"]):
        own = pl.col("meta").str.json_path_match("$.id")
        here = frame.select("row", "id", "source", "line", own=own).filter(
            pl.col("id").is_in(names) | pl.col("line").is_in(lines) | pl.col("own").is_in(names)
        )
        for row, content, source, line, own_id in here.iter_rows():
            found.setdefault(content, row)
            for name in (*(f"{file}:{line}" for file in files[source]), own_id):
                if name in names and found.setdefault(name, row) != row:
                    several.add(name)
    for label in given:
        if label.row in several:
            raise UsageError(
                f"{label.place}: {label.row} holds several rows",
                'name one by its "row" number, or the id of `curate why`',
            )
    numbers = {f"row:{row}": row for row in _numbers(names) if row < len(pool)}
    return [(numbers | found).get(label.row) for label in given]


def _numbers(names: set[str]) -> list[int]:
    return [int(name[4:]) for name in names if name.startswith("row:") and name[4:].isdecimal()]


class LabelFile:
    """The labels that a person gives, on disk as soon as they are given. Raises UsageError for a file that is none."""

    def __init__(self, path: Path, labels: Mapping[str, float]) -> None:
        self.path = path
        self.given = read_labels(path, labels) if path.exists() else []

    def add(self, row: str, label: str | None) -> None:
        """Append a label of the row with this id; None: it was skipped."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            torn = file.tell() and file.seek(-1, 2) >= 0 and file.read() != b"\n"  # written by hand, or cut short
            file.write(b"\n" * bool(torn) + orjson.dumps({"id": row, "label": label}) + b"\n")
        self.given.append(Label(f"{self.path}", row, label))

    def undo(self) -> None:
        """Take the last label back."""
        lines = self.path.read_bytes().rstrip().splitlines(keepends=True)
        with self.path.open("r+b") as file:
            file.truncate(sum(map(len, lines[:-1])))
        self.given.pop()

    def of(self, row: str) -> list[str | None]:
        """The labels of the row with this id, in the order in which they were given."""
        return [given.label for given in self.given if given.row == row]


@dataclass(frozen=True)
class Shown:
    """A row before a person. `swapped`: of a pair the rejected answer stands first."""

    row: str
    number: int
    of: int
    swapped: bool


class Labelling:
    """Which row comes next, and what a key does. `rows`: ids in the order in which they are shown.

    Some rows are shown a second time at the end, as far from the first time as can be (a pair with its answers the
    other way round): that is how far the person agrees with themselves.
    """

    def __init__(self, rows: Sequence[str], file: LabelFile, rubric: Rubric) -> None:
        self.rows, self.file, self.rubric = rows, file, rubric
        self.twice = rows[: max(len(rows) // AGAIN, 1)]
        self.keys = keys_of(rubric)

    @property
    def next(self) -> Shown | None:
        """What is to be labelled next; None once all is."""
        of = len(self.rows) + len(self.twice)
        for number, row in enumerate(self.rows, 1):
            if not self.file.of(row):
                return Shown(row, number, of, _swapped(row))
        for number, row in enumerate(self.twice, len(self.rows) + 1):
            labels = self.file.of(row)
            if len(labels) == 1 and labels[0] is not None:
                return Shown(row, number, of, not _swapped(row))
        return None

    @property
    def labelled(self) -> int:
        """How many of the rows have a label."""
        return sum(any(self.file.of(row)) for row in self.rows)

    def press(self, key: str, shown: Shown) -> str | None:
        """Do what the key says to the row that is shown; returns what was done, None where it does nothing."""
        if key == SKIP:
            self.file.add(shown.row, None)
            return "skipped"
        if key == UNDO:
            if not self.file.given or self.file.given[-1].row not in self.rows:
                return "nothing to undo"
            self.file.undo()
            return "the last label is taken back"
        if key not in self.keys:
            return None
        label = self.keys[key]
        if self.rubric.pairwise:
            first = label == next(iter(self.rubric.scale))
            self.file.add(shown.row, CHOSEN if first != shown.swapped else REJECTED)
        else:
            self.file.add(shown.row, label)
        return label


def meant(typed: str) -> str:
    """The key that was pressed, whatever Shift, Caps Lock and a Korean keyboard make of it."""
    return typed.lower().translate(HANGUL)


def keys_of(rubric: Rubric) -> dict[str, str]:
    """One key for each label of the scale: the label itself where it is one, else the next that is free.

    Raises UsageError for a scale of more labels than there are keys.
    """
    own = {label.lower(): label for label in reversed(list(rubric.scale)) if len(label) == 1}
    own = {key: label for key, label in own.items() if key not in (UNDO, SKIP, QUIT, RUBRIC)}
    spare = [key for key in SPARE_KEYS if key not in own]
    if len(rubric.scale) > len(own) + len(spare):
        raise UsageError(
            f"a scale of {len(rubric.scale)} labels has more than there are keys", "give labels: --labels FILE"
        )
    keys = {label: key for key, label in own.items()}
    return {keys[label] if label in keys else spare.pop(0): label for label in rubric.scale}


def _swapped(row: str) -> bool:
    return bool(xxhash.xxh3_64_intdigest(row.encode()) & 1)
