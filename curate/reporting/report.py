"""`report.html`: what a run did, on one page that needs neither a network nor scripts."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from curate.ledger import RunDirectory
from curate.pool import Pool
from curate.reporting import charts
from curate.reporting.facts import ReportFacts, Shares, StepFacts, facts_of
from curate.whole import whole_file

NAME = "report.html"

HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
"""Characters that show nothing, or turn what follows round."""


def write_report(run: RunDirectory, pool: Pool) -> None:
    """Write the report of a finished run beside its ledger."""
    found = facts_of(run, pool)
    page = render(
        "page.html.j2",
        facts=found,
        drawn={step.summary["step"]: list(_charts_of(step)) for step in found.steps},
        shares=[(s, _drawn_shares(s)) for s in found.shares],
        most_shared=max((max(step.shared) for step in found.steps), default=0),
        funnel=_funnel(found),
    )
    with whole_file(run.path / NAME) as file:
        file.write(page.encode())


def render(template: str, **values: Any) -> str:
    """A page of this folder; whatever the values hold is escaped."""
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"visible": visible, "number": number}
    return environment.get_template(template).render(values)


def visible(text: str) -> str:
    """The text with every character that shows nothing as its number: `‹U+202E›`."""
    return HIDDEN.sub(lambda found: f"‹U+{ord(found[0]):04X}›", text)


def number(value: Any) -> str:
    """A number as people read it: 1,234 or 0.57."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "none"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.4g}"


def _charts_of(step: StepFacts) -> Iterator[tuple[str, str, list[str], list[tuple[Any, ...]]]]:
    """Title, drawing, and the numbers behind it with their headings, of each chart of a step."""
    name = step.summary["step"]
    if step.bins:
        what = f"Rows by what {name} measured"
        rows = [(number(a), number(b), number(kept), number(gone)) for a, b, kept, gone in step.bins if kept or gone]
        yield what, charts.histogram(step.bins, step.threshold, name), ["from", "to", "kept", "dropped"], rows
    if step.curve:
        curve = [(number(at), number(left)) for at, left in step.curve]
        yield (
            "Rows that would stay, by threshold",
            charts.yield_curve(step.curve, step.threshold),
            ["at", "stay"],
            curve,
        )


def _drawn_shares(share: Shares) -> str:
    return charts.before_and_after([visible(group) for group in share.groups], share.before, share.after)


def _funnel(found: ReportFacts) -> list[tuple[str, int, float, StepFacts | None]]:
    """What was left after each step, and as a share of all rows."""
    rows = max(found.summary["rows_in"], 1)
    left = [(step.summary["step"], step.summary["reached"] - step.summary["dropped"], step) for step in found.steps]
    return [(name, n, n / rows, step) for name, n, step in [("read", found.summary["rows_in"], None), *left]]
