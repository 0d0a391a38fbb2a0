"""When two texts say the same: without regard to Unicode form, case and white space, by a 128-bit key.

"Name  a PRIME. " and "name a prime." have one key.
"""

import numpy as np
import polars as pl
import xxhash

WHITE_SPACE = r"[^\S ]\s*| \s+"
"""Every run of white space but a single space, which needs no replacing."""


def normalised(rows: pl.DataFrame, sides: list[pl.Expr]) -> list[pl.Expr]:
    """The texts in NFC and lower case, white space as single spaces and none at the ends."""
    chars, size = rows.select(
        chars=pl.sum_horizontal(side.str.len_chars().sum() for side in sides),
        size=pl.sum_horizontal(side.str.len_bytes().sum() for side in sides),
    ).row(0)
    if chars < size:  # what is ASCII is in NFC, and to say so takes a tenth of the time
        sides = [side.str.normalize("NFC") for side in sides]
    return [side.str.to_lowercase().str.replace_all(WHITE_SPACE, " ").str.strip_chars() for side in sides]


def keys(texts: pl.Series, names: tuple[str, str]) -> pl.DataFrame:
    """128-bit xxh3 of each text, as two columns u64."""
    digests = b"".join(map(xxhash.xxh3_128_digest, texts.cast(pl.Binary).to_list()))
    halves = np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)
    return pl.DataFrame(halves, schema=dict.fromkeys(names, pl.UInt64))
