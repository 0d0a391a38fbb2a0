"""Labels of rows, and how what is told of one spreads to those like it.

`["math", "algebra"]` in a field of a row is two labels, `math` one.
"""

from typing import Any

import numpy as np
import polars as pl

from curate.selecting.blocks import Vectors, blocks


def labels_of(values: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """The distinct labels, and the pairs of `row` (a position) and `label` (a position among them)."""
    text = values.cast(pl.String)
    listed = text.str.starts_with("[") & text.str.ends_with("]")
    several = pl.DataFrame({"text": text, "listed": listed}).select(
        label=pl.when("listed")
        .then(pl.col("text").str.extract_all(r'"[^"]*"').list.eval(pl.element().str.strip_chars('"')))
        .otherwise(pl.concat_list("text"))
    )
    pairs = several.with_row_index("row").explode("label", empty_as_null=True).drop_nulls().unique(maintain_order=True)
    names = pairs["label"].unique().sort()
    known = names.to_frame().with_row_index("at")
    return names, pairs.join(known, on="label", how="inner", maintain_order="left").select("row", label="at")


def spread(own: pl.DataFrame, rows: int, vectors: Vectors, similarity: float) -> Any:
    """What each of `rows` tells of each label, sparse: 1 of its own, shared out among all that are similar to it."""
    from scipy.sparse import csr_matrix, vstack

    count = len(vectors)
    if not count:
        return csr_matrix((rows, 0))
    parts = []
    for some in blocks(count):
        products = vectors[some] @ vectors.T
        products[products < similarity] = 0
        products[np.arange(some.stop - some.start), np.arange(some.start, some.stop)] = 1
        parts.append(csr_matrix(products / products.sum(axis=1, keepdims=True)))
    at = (own["row"].to_numpy(), own["label"].to_numpy())
    return csr_matrix((np.ones(len(own)), at), shape=(rows, count)) @ vstack(parts, format="csr")
