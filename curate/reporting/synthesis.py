"""The page of a synthesis: what became of the attempts, in one file without scripts or network."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.reporting import charts
from curate.reporting.report import number, render
from curate.whole import whole_file

if TYPE_CHECKING:
    from curate.synthesis.orders import Order
    from curate.synthesis.yields import Yields

BINS, TOPICS, CHARACTERS = 30, 40, 1200
"""Bars of the histogram; topics that are listed; how much of an answer is shown."""

Bin = tuple[float, float, int, int]


def write_synthesis(path: Path, order: "Order", n: int, yields: "Yields", seconds: float) -> None:
    """Write the page, whole or not at all. `seconds`: what this sitting took, for all its attempts."""
    stages = [("attempts", yields.attempts), *yields.funnel()]
    most = max(yields.attempts, 1)
    lost = [
        (stage, yields.lost[stage], yields.reasons[stage].most_common(8), yields.examples[stage])
        for stage, _ in yields.funnel()
        if yields.lost[stage]
    ]
    near = [(float(k * 100), same / looked) for k, (looked, same) in enumerate(yields.near_over_time) if looked]
    planned = Counter(topic.name for topic in order.plan.topics)
    topics = sorted(((name, yields.topics[name]) for name in planned), key=lambda found: (-found[1], found[0]))
    page = render(
        "synthesis.html.j2",
        order=order,
        n=n,
        yields=yields,
        funnel=[(name, left, left / most) for name, left in stages],
        lost=lost,
        lengths=_histogram(yields.lengths),
        near=charts.line(near, "attempt", "near-duplicates") if len(near) > 1 else "",
        near_rows=[(number(at), f"{share:.1%}") for at, share in near],
        topics=topics[:TOPICS],
        covered=sum(count > 0 for _, count in topics),
        all_topics=len(topics),
        tokens_each=yields.tokens / yields.accepted if yields.accepted else None,
        seconds=seconds,
        seconds_each=seconds / (yields.accepted - yields.earlier) if yields.accepted > yields.earlier else None,
        characters=CHARACTERS,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(page.encode())


def _histogram(lengths: list[int]) -> tuple[str, list[Bin]]:
    """A drawing of how long the accepted responses are, and the numbers behind it."""
    if len(set(lengths)) < 2:
        return "", []
    counts, edges = np.histogram(np.array(lengths), bins=BINS)
    bins = [(float(a), float(b), int(c), 0) for a, b, c in zip(edges, edges[1:], counts, strict=False)]
    return charts.histogram(bins, None, "characters of the response"), bins
