"""How many rows each group gets: `quotas([900, 50], 100, 3.0)` is [72, 28], not [95, 5]."""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def quotas(sizes: Counts, n: int, temperature: float | None) -> Counts:
    """`n` places in proportion to size ** (1 / temperature), none above its size; what is left over goes to the others.

    `temperature` None: equal shares. Largest remainders are rounded up, the first group first.
    """
    weights = np.ones(len(sizes)) if temperature is None else sizes ** (1 / temperature)
    full = np.zeros(len(sizes), dtype=np.bool_)
    n = min(n, int(sizes.sum()))
    while True:
        open_weights = np.where(full, 0, weights)
        exact = np.where(full, sizes, open_weights * (n - sizes[full].sum()) / max(open_weights.sum(), 1e-300))
        over = ~full & (exact > sizes)
        if not over.any():
            break
        full |= over
    found: Counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(found - exact, kind="stable")
    order = order[found[order] < sizes[order]]
    found[order[: n - int(found.sum())]] += 1
    return found
