"""The page of a calibration: how a judge compares with a person, in one file without scripts or network."""

from pathlib import Path
from typing import TYPE_CHECKING

from curate.reporting import charts
from curate.reporting.report import render
from curate.whole import whole_file

if TYPE_CHECKING:
    from curate.judging.calibrating import Calibration


def write_calibration(path: Path, found: "Calibration") -> None:
    """Write the page, whole or not at all."""
    largest = max(max(counts) for counts in found.confusion)
    drawing = charts.histogram(found.bins, found.cut, "score")
    page = render("calibration.html.j2", found=found, drawing=drawing, largest=largest, lines=lines_of(found))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(page.encode())


def lines_of(found: "Calibration") -> list[tuple[str, str, str]]:
    """What is told, its value, and its 95 % interval or what else it says: alike on the page and on a terminal."""
    named = {
        "quadratic-weighted kappa": found.kappa,
        "Spearman": found.spearman,
        f"AUC at {found.cut:g}": found.auc,
        "length bias": found.length_bias,
        "belief in the first answer": found.first_preferred,
        "best threshold": found.threshold,
    }
    lines = []
    for name, estimate in named.items():
        if estimate is None:
            continue
        if estimate.value is None:
            lines.append((name, "none", "can't be told from these labels"))
        else:
            lines.append((name, f"{estimate.value:.2f}", f"{estimate.low:.2f} to {estimate.high:.2f}"))
    if found.flip_rate is not None:
        lines.append(("flip rate", f"{found.flip_rate:.0%}", "prefers another answer in the other order"))
    for who, again in (("person, asked twice", found.person_retest), ("judge, labels reversed", found.judge_retest)):
        if again:
            said = f"{again.same:.0%} same, {again.crossed:.0%} cross the cut, {again.rows} rows"
            lines.append((who, f"±{again.apart:.2f}", said))
    return lines
