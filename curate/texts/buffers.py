"""Texts as the kernels read them: one run of UTF-8 bytes and where each text begins."""

import numpy as np
import numpy.typing as npt
import polars as pl


def buffers(texts: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The UTF-8 bytes of texts without null, and their i64 offsets."""
    arrow = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = arrow.buffers()
    at = np.frombuffer(offsets, dtype=np.int64)[arrow.offset : arrow.offset + len(arrow) + 1]
    return np.frombuffer(data or b"", dtype=np.uint8), at
