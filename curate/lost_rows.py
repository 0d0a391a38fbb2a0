"""What should make a person look twice at rows that went for the sake of others.

`b.jsonl lost 9,300 of 10,000 rows`, `13,204 rows went for raw.jsonl:17`.
"""

import polars as pl

from curate.pool import Pool

MOST, FEWEST = 0.5, 100
"""A source is worth a word where more than half of its rows went, and 100 at least."""

GIANT, GIANT_SHARE = 1000, 0.01
"""A row is worth a word where 1,000 rows went for it, and one in a hundred of those that reached the step."""


def losses(verdicts: pl.DataFrame, pool: Pool) -> list[str]:
    """The sources that lost most of their rows to rivals, and the rival that most rows went for.

    `verdicts`: `row`, `kept` and `rival` of the rows that reached a step.
    """
    lost = verdicts.filter(~pl.col("kept") & pl.col("rival").is_not_null())
    if len(lost) < FEWEST:
        return []
    said = []
    if len(pool.sources) > 1:
        source = pool.column("source")
        before = source.gather(verdicts["row"]).value_counts(name="rows")
        after = source.gather(lost["row"]).value_counts(name="lost")
        heavy = before.join(after, on="source").filter(pl.col("lost") > MOST * pl.col("rows"), pl.col("lost") >= FEWEST)
        for name, rows, gone in heavy.sort("source").rows():
            said.append(f"{name} lost {gone:,} of {rows:,} rows to better or earlier ones")
    rival, count = lost["rival"].value_counts(name="rows").sort("rows", "rival", descending=[True, False]).row(0)
    if count >= max(GIANT, GIANT_SHARE * len(verdicts)):
        place = pool.place(int(rival.removeprefix("row:"))) if rival.startswith("row:") else rival
        said.append(f"{count:,} rows went for {place}: look at it with `curate why`")
    return said
