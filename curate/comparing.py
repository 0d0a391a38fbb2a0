"""Curated sets side by side: `compare(["mine.jsonl", "random.jsonl"])` is what `curate compare` prints.

All sets are read into one pool, so that one embedder, fitted on all of them, measures each alike.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.deciding import decide
from curate.disk import disk_faults
from curate.embedding import embedded, embedder
from curate.errors import UsageError
from curate.formats.sources import files_of
from curate.measuring import Measures
from curate.pool import Pool, check_inputs, make_work_dir, read_options, read_pool
from curate.recipe import load_recipe
from curate.seeded import shuffled_rank
from curate.whole import whole_file
from curate.working import Working

DRAWN = 2000
"""Rows of each set from which topics and diversity are told; as many of each, since they depend on the number."""

TOPICS, EXAMPLES = 50, 3
"""Clusters that the drawn rows are cut into, at most; rows that only one set has that are shown."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SetFacts:
    """One set. `distinct`: its contents, each counted once; `only`: those of them that no other set has.

    `tokens` is estimated; `chars`: median of the response; `defective`: share of rows that a row filter of the default
    recipe would drop. Told from drawn rows: `topics`: the share of topics it has a row of; `even_topics`: e to the
    entropy of its rows over topics; `nearest`: mean cosine distance of a row to its nearest; `vendi`: Vendi score
    (Friedman and Dieng 2022), the effective number of different rows.
    """

    name: str
    rows: int
    distinct: int
    only: int
    tokens: int
    chars: float
    defective: float
    topics: float
    even_topics: float
    nearest: float | None
    vendi: float
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """Sets in order; `shared[a][b]`: contents that both have; `drawn`: rows of each that tell topics and diversity."""

    sets: list[SetFacts]
    shared: list[list[int]]
    drawn: int
    topics: int


def compare(
    sets: Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Comparison:
    """Compare two or more files of rows. Raises as `curate.filter` does, and UsageError where a set has no rows."""
    names = [str(name) for name in sets]
    if len(names) < 2:
        raise UsageError("compare needs two sets or more", "as in: curate compare curated.jsonl random.jsonl")
    working, work = working or Working(), Path(work_dir)
    check_inputs(names, work)
    make_work_dir(work)
    with disk_faults(work):
        pool = read_pool(names, work, read_options(format, map, max_line, limit), working=working)
        members = _members(pool, names)
        most = min(DRAWN, *(len(rows) for rows in members))
        drawn = [_drawn(rows, most, seed) for rows in members]
        vectors = _vectors(pool, drawn, working)
        topics = _topics(vectors, seed)
        ids = pool.column("id").to_numpy()
        contents = [np.unique(ids[rows]) for rows in members]
        tokens, chars, defective = _measured(pool, working)
        found = []
        for k, rows in enumerate(members):
            others = np.concatenate([contents[j] for j in range(len(members)) if j != k])
            alone = ~np.isin(contents[k], others)
            mine = np.bincount(topics[k], minlength=max(int(t.max()) for t in topics) + 1)
            found.append(
                SetFacts(
                    name=names[k],
                    rows=len(rows),
                    distinct=len(contents[k]),
                    only=int(alone.sum()),
                    tokens=int(tokens[rows].sum()),
                    chars=float(np.median(chars[rows])),
                    defective=round(float(defective[rows].mean()), 4),
                    topics=round(float((mine > 0).mean()), 4),
                    even_topics=round(_even(mine / mine.sum()), 2),
                    nearest=_nearest(vectors[k]),
                    vendi=round(_vendi(vectors[k]), 2),
                    examples=_examples(pool, rows[np.isin(ids[rows], contents[k][alone])]),
                )
            )
    shared = [[len(np.intersect1d(a, b)) for b in contents] for a in contents]
    return Comparison(found, shared, len(drawn[0]), max(int(t.max()) for t in topics) + 1)


def write_comparison(path: Path, found: Comparison) -> None:
    """Write the comparison as a page without scripts or network."""
    from curate.reporting.report import render

    with whole_file(path) as file:
        file.write(render("comparison.html.j2", found=found, lines=lines_of(found)).encode())


def lines_of(found: Comparison) -> list[tuple[str, list[str]]]:
    """What is told, and its value for each set: alike on a page and on a terminal."""
    sets = found.sets
    return [
        ("rows", [f"{s.rows:,}" for s in sets]),
        ("distinct", [f"{s.distinct:,}" for s in sets]),
        ("only here", [f"{s.only:,}" for s in sets]),
        *((f"in {other.name} too", [f"{n:,}" for n in found.shared[k]]) for k, other in enumerate(sets)),
        ("tokens, about", [f"{s.tokens:,}" for s in sets]),
        ("characters of the response, median", [f"{s.chars:,.0f}" for s in sets]),
        ("rows with a defect", [f"{s.defective:.1%}" for s in sets]),
        (f"topics of {found.topics} that it has", [f"{s.topics:.0%}" for s in sets]),
        ("topics, if all had as many rows", [f"{s.even_topics:.1f}" for s in sets]),
        ("distance to the nearest row, mean", ["none" if s.nearest is None else f"{s.nearest:.3f}" for s in sets]),
        ("Vendi score", [f"{s.vendi:.1f}" for s in sets]),
    ]


def _members(pool: Pool, names: list[str]) -> list[npt.NDArray[np.int64]]:
    """The rows of each set: of its files, which are several where it is a saved dataset."""
    sizes = [int(source["rows"]) for source in pool.facts["sources"]]
    ends = np.cumsum([0, *sizes])
    members, at = [], 0
    for name in names:
        files = len(files_of(name))
        members.append(np.arange(ends[at], ends[at + files]))
        at += files
        if not len(members[-1]):
            raise UsageError(f"no row of {name} could be read", "leave it out, or see what is wrong: curate inspect")
    return members


def _drawn(rows: npt.NDArray[np.int64], n: int, seed: int) -> npt.NDArray[np.int64]:
    return np.sort(rows[np.argsort(shuffled_rank(rows, seed))[:n]])


def _vectors(pool: Pool, drawn: list[npt.NDArray[np.int64]], working: Working) -> list[npt.NDArray[np.float32]]:
    wanted = np.zeros(len(pool), dtype=np.bool_)
    wanted[np.concatenate(drawn)] = True
    stored = embedded(pool, embedder("default", pool), rows=wanted, working=working)
    return [np.asarray(stored[rows], dtype=np.float32) for rows in drawn]


def _topics(vectors: list[npt.NDArray[np.float32]], seed: int) -> list[npt.NDArray[np.int64]]:
    """The topic of each drawn row: its cluster among all drawn rows."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    every = np.concatenate(vectors)
    distinct = len(np.unique(every, axis=0))
    clusters = max(1, min(TOPICS, distinct, len(every) // 5))
    with threadpool_limits(1):  # the same sums on every machine
        labels = KMeans(clusters, n_init=1, random_state=seed).fit_predict(every)
    return np.split(labels.astype(np.int64), np.cumsum([len(v) for v in vectors])[:-1])


def _even(shares: npt.NDArray[np.float64]) -> float:
    there = shares[shares > 0]
    return float(np.exp(-(there * np.log(there)).sum()))


def _nearest(vectors: npt.NDArray[np.float32]) -> float | None:
    if len(vectors) < 2:
        return None
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    return round(float((1 - alike.max(axis=1)).clip(0).mean()), 4)


def _vendi(vectors: npt.NDArray[np.float32]) -> float:
    """By the eigenvalues of the covariance, which are those of the similarity matrix that are not 0."""
    lengths = (vectors**2).sum()
    if not lengths:
        return 1.0
    spread = np.linalg.eigvalsh(vectors.T.astype(np.float64) @ vectors / lengths).clip(0)
    return _even(spread / spread.sum())


def _measured(pool: Pool, working: Working) -> tuple[Any, Any, Mask]:
    """Of every row: tokens of both sides, characters of the response, whether a row filter of the default drops it."""
    everyone = np.ones(len(pool), dtype=np.bool_)
    defective = np.zeros(len(pool), dtype=np.bool_)
    for step in load_recipe("default").steps:
        if step.filter_name == "exact-dup":
            continue
        measures = Measures(step, pool)
        measures.compute(everyone, working)
        defective |= (decide(step, measures, everyone, {}, pool)["verdict"] == "drop").to_numpy()
    sizes = []
    for side, name in (("both", "tokens"), ("response", "chars")):
        measures = Measures(load_recipe("longest", settings=[f"length.of={side}"]).steps[0], pool)
        measures.compute(everyone, working)
        sizes.append(measures.load(everyone, [name])[name].fill_null(0).to_numpy())
    return sizes[0], sizes[1], defective


def _examples(pool: Pool, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    columns = ["source", "line", "prompt", "response"]
    return [row for frame in pool.texts(rows[:EXAMPLES], columns) for row in frame.to_dicts()]
