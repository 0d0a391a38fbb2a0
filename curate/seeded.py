"""Chance that never changes: an order of rows from a seed and their numbers alone.

`shuffled_rank(np.arange(3), seed=0)` gives the same three large numbers on every machine.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


def shuffled_rank(rows: npt.NDArray[Any], seed: int) -> npt.NDArray[np.uint64]:
    """A number per row that looks random: splitmix64 (Steele, Lea and Flood 2014) of the row and the seed."""
    with np.errstate(over="ignore"):
        x = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
