"""What is said of rows when a few were chosen: those that were not name the chosen one that stands nearest."""

import numpy as np
import polars as pl

from curate.pool import Pool
from curate.protocol import how_many, keep_if
from curate.selecting.blocks import Rows, Vectors, nearest


def places(n: int | None, share: float | None, total: int, pool: Pool) -> int:
    """How many of `total` rows to choose; said where there are no more than were asked for."""
    if n is not None and n >= total:
        pool.notes.append(f"{n:,} rows were asked for, there are {total:,}: all are kept")
    return how_many(n, share, total)


def filled_up(chosen: Rows, n: int, *then: Rows) -> Rows:
    """`chosen`, and where it has fewer than `n`, of other rows the first."""
    for rows in then:
        if len(chosen) < n:
            left = rows[~np.isin(rows, chosen)]
            chosen = np.concatenate((chosen, left[: n - len(chosen)]))
    return chosen[:n]


def verdicts(rows: pl.Series, chosen: Rows, vectors: Vectors, pool: Pool) -> pl.DataFrame:
    """Keep the rows at the positions `chosen`, which are in the order of choice."""
    place = np.zeros(len(rows), dtype=np.int64)
    place[chosen] = np.arange(1, len(chosen) + 1)
    gone = np.flatnonzero(place == 0)
    at, cosine = nearest(vectors[gone], vectors[chosen], pool.working)
    stands, value = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), np.nan)
    stands[gone], value[gone] = chosen[at], cosine.astype(np.float64)
    said = pl.DataFrame({"place": place, "rival": rows.gather(stands), "value": value}).with_columns(
        pl.col("value").fill_nan(None).clip(-1, 1)
    )
    kept, like = pl.col("place") > 0, pl.col("value") > 0
    name = pl.when(~kept & like).then(pl.format("row:{}", "rival"))
    text = f"not among the {len(chosen):,} chosen"
    near = pl.format(text + ": nearest is {}, similarity {}", name, pl.col("value").round(3))
    return said.select(
        verdict=keep_if(kept),
        reason=pl.when(~kept).then(pl.coalesce(near, pl.lit(f"{text}, and like none of them"))),
        value=pl.when(~kept).then("value"),
        rival=name,
        evidence=pl.when(kept).then(pl.struct("place").struct.json_encode()),
    )


def with_text(vectors: Vectors) -> Rows:
    """Positions of the rows in which there is something to read; the others are taken last."""
    return np.flatnonzero(vectors.any(axis=1))
