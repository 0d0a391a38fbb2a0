"""Rows to train on, to choose by and to test on, of which none on one side tells of another: families stay together.

`split("curated.jsonl", "split.jsonl")` writes `split.train.jsonl`, `split.validation.jsonl` and `split.test.jsonl`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curate.disk import disk_faults
from curate.duplicates.near import THRESHOLD, check_similarity
from curate.embedding import embedder as embedder_of
from curate.errors import StoppedError, UsageError
from curate.families import families
from curate.formats.sources import digest_of
from curate.formats.writing import check_output, write_lines
from curate.outputs import selected
from curate.pool import check_inputs, make_work_dir, read_options, read_pool
from curate.seeded import shuffled_rank
from curate.whole import whole_file
from curate.working import Working

PARTS = ("train", "validation", "test")

Input = str | os.PathLike[str]


@dataclass(frozen=True)
class Split:
    """What was written: the rows and the file of each part, how many families there are and the rows of the largest."""

    rows: dict[str, int]
    files: dict[str, Path]
    families: int
    largest: int
    card: Path


def split(
    inputs: Input | Sequence[Input],
    output: Input = "split.jsonl",
    *,
    validation: float = 0.05,
    test: float = 0.05,
    similarity: float = THRESHOLD,
    embedder: str | None = None,
    cosine: float = 0.9,
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    work_dir: Input = ".curate",
    working: Working | None = None,
) -> Split:
    """Divide rows into train, validation and test, whole families of them, and write each part's lines byte for byte.

    `validation` and `test` are shares of the rows, 0 for none. A family is what is near-duplicate (Jaccard
    `similarity`), of one prompt or, with an `embedder`, nearer in meaning than `cosine`, and what is so linked to it.
    Raises UsageError for shares that can't be, StoppedError where the families are too large for them.
    """
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    out, work = Path(output), Path(work_dir)
    working = working or Working()
    shares = {"train": 1 - validation - test, "validation": validation, "test": test}
    if min(shares.values()) < 0 or shares["train"] <= 0:
        raise UsageError(f"shares of {validation:g} and {test:g} leave nothing to train on", "as in --test 0.1")
    try:
        check_similarity(similarity)
    except ValueError as error:
        raise UsageError(str(error)) from None
    paths = {part: _beside(out, part) for part in PARTS if shares[part]}
    for path in paths.values():
        check_output(path, files)
    check_inputs(files, work)
    make_work_dir(work)
    with disk_faults(work, out.absolute().parent):
        pool = read_pool(files, work, read_options(format, map, max_line, limit), working=working)
        model = embedder_of(embedder, pool) if embedder else None
        family = families(pool, working, similarity, model, cosine)
        part_of = _parts(family, shares, seed)
        rows = {part: int((part_of == k).sum()) for k, part in enumerate(PARTS)}
        if empty := [part for part in paths if not rows[part]]:
            sizes = np.bincount(family)
            raise StoppedError(
                f"no family of rows fits into {empty[0]}: {len(sizes):,} families, the largest of {sizes.max():,} rows",
                "give it a larger share, or more rows",
            )
        for part, path in paths.items():
            mask = part_of == PARTS.index(part)
            write_lines(path, lambda mask=mask: selected(pool, mask))  # type: ignore[misc]
        sizes = np.bincount(family)
        done = Split(rows, paths, len(sizes), int(sizes.max()), out.with_name(f"{_stem(out)}.split.card.md"))
        _write_card(done, shares, pool.names, similarity, embedder, cosine, seed)
    return done


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _beside(path: Path, part: str) -> Path:
    """`split.jsonl.gz` becomes `split.train.jsonl.gz`."""
    stem, dot, ending = path.name.partition(".")
    return path.with_name(f"{stem}.{part}{dot}{ending}")


def _parts(family: npt.NDArray[np.int64], shares: Mapping[str, float], seed: int) -> npt.NDArray[np.int64]:
    """Which part, by its number in PARTS, each row goes to: families in seeded order, each where most is lacking.

    A family goes to validation or test only where it fits; train takes what is left.
    """
    sizes = np.bincount(family)
    room = {part: round(shares[part] * len(family)) for part in PARTS[1:]}
    chosen = np.zeros(len(sizes), dtype=np.int64)
    for number in np.argsort(shuffled_rank(np.arange(len(sizes)), seed), kind="stable").tolist():
        part = max(room, key=lambda name: room[name])
        if sizes[number] <= room[part]:
            chosen[number] = PARTS.index(part)
            room[part] -= int(sizes[number])
        if not any(room.values()):
            break
    return chosen[family]


def _write_card(
    done: Split,
    shares: Mapping[str, float],
    names: Sequence[str],
    similarity: float,
    embedder: str | None,
    cosine: float,
    seed: int,
) -> None:
    parts = "\n".join(
        f"| `{path.name}` | {shares[part]:.3g} | {done.rows[part]:,} | `{digest_of(path)}` |"
        for part, path in done.files.items()
    )
    sources = "\n".join(f"- `{name}`" for name in names)
    meaning = f", or nearer than {cosine:g} by the embedder `{embedder}`" if embedder else ""
    text = f"""# Split

{sum(done.rows.values()):,} rows in {done.families:,} families, the largest of {done.largest:,} rows. Seed {seed}.

| file | share asked for | rows | xxh3-128 |
| --- | --- | --- | --- |
{parts}

Of one family, and so in one part, are rows that share {similarity:g} of their shingles or more, rows of one
prompt{meaning}.

## Sources

{sources}
"""
    with whole_file(done.card) as file:
        file.write(text.encode())
