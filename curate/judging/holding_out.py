"""Rows to learn from and rows to be measured on, so that nothing is on both sides that tells of the other.

`held_out(groups_of(pool, rows, working), seed=0)` is true for a fifth of the rows, whole groups of them.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.measuring import Measures
from curate.pool import Pool
from curate.recipe import rebuild_recipe
from curate.seeded import shuffled_rank
from curate.working import Working

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HELD_OUT = 0.2
"""Share of the rows that nothing is learnt from."""

COMMON = 0.05
"""A prompt that so many rows share is an instruction to all of them, and no question of which one knows the answer."""


def groups_of(pool: Pool, rows: Rows, working: Working) -> Rows:
    """A number for each row; near-duplicates and rows of one prompt have the same."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    near = Measures(rebuild_recipe({"name": "near", "steps": [{"near-dup": {}, "side": pool.side}]}).steps[0], pool)
    near.compute(np.ones(len(pool), dtype=np.bool_), working)
    mask = np.zeros(len(pool), dtype=np.bool_)
    mask[rows] = True
    notes = list(pool.notes)
    rivals = near.filter.decide(near.load(mask), pool)["rival"].str.strip_prefix("row:").cast(pl.Int64)
    pool.notes[:] = notes
    alike = np.flatnonzero(rivals.is_not_null().to_numpy())
    links = [(alike, np.searchsorted(rows, rivals.drop_nulls().to_numpy()))]
    prompts = pl.concat([frame["prompt"] for frame in pool.texts(rows, ["prompt"])]).str.strip_chars()
    asked = pl.DataFrame({"prompt": prompts}).with_row_index("at").filter(pl.col("prompt") != "")
    shared = asked.with_columns(first=pl.col("at").first().over("prompt"), rows=pl.len().over("prompt"))
    shared = shared.filter(pl.col("rows") <= max(COMMON * len(rows), 2))
    links.append((shared["at"].to_numpy(), shared["first"].to_numpy()))
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(len(rows), len(rows)))
    found: Rows = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def held_out(groups: Rows, seed: int) -> Mask:
    """Groups of up to a fifth of the rows, drawn by chance; none that is large itself."""
    sizes = np.bincount(groups)
    order = np.argsort(shuffled_rank(np.arange(len(sizes)), seed), kind="stable")
    order = order[sizes[order] <= COMMON * len(groups)]
    chosen = order[np.cumsum(sizes[order]) <= HELD_OUT * len(groups)]
    return np.isin(groups, chosen)
