"""The page of an ablation: what models learnt from each recipe's rows, in one file without scripts or network."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from curate.reporting import charts
from curate.reporting.report import render
from curate.whole import whole_file

if TYPE_CHECKING:
    from curate.evaluating.ablating import Ablation


def write_ablation(path: Path, found: "Ablation", model: str, budget: str) -> None:
    """Write the page, whole or not at all."""
    drawn = [
        (each.recipe, each.mean, *((each.low, each.high) if math.isfinite(each.low) else (each.mean, each.mean)))
        for each in found.recipes
    ]
    chance = next(each.mean for each in found.recipes if each.recipe == "random")
    page = render(
        "ablation.html.j2",
        found=found,
        model=model,
        budget=budget,
        drawing=charts.intervals(drawn, "loss on the test rows, nats a token", chance),
    )
    with whole_file(path) as file:
        file.write(page.encode())
