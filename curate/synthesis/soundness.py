"""Whether written rows are sound: the row filters of recipe `default` and more look at them as they do at any row.

A draft whose response ends in mid-sentence is lost: `broken: the response breaks off: no end after "and then the"`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import polars as pl

from curate.protocol import trait
from curate.registry import load_filter
from curate.synthesis.drafts import Draft
from curate.texts.languages import languages

FILTERS = {
    "exercises": ("secrets", "pii"),  # what a solution does is proven otherwise
    "textbook": ("broken", "language", "refusal", "repetition", "unseen", "arithmetic", "secrets", "pii"),
}
"""What the rows of a kind must pass; those of other kinds what textbooks must."""


def unsound(drafts: Sequence[Draft], kind: str, language: str) -> list[str]:
    """For each draft why it is not sound: the first filter that would drop it, or another language; else nothing."""
    rows = pl.DataFrame(
        {
            "row": pl.Series(range(len(drafts)), dtype=pl.UInt64),
            "prompt": [draft.instruction for draft in drafts],
            "response": [draft.response for draft in drafts],
            "messages": [[_turn("user", draft.instruction), _turn("assistant", draft.response)] for draft in drafts],
        }
    )
    reasons = [""] * len(drafts) if kind == "exercises" else _in_others(rows, language)
    for name in FILTERS.get(kind, FILTERS["textbook"]):
        filter = _opened(name)
        measures = filter.measure(rows.select("row", *trait(filter, "reads")))
        said = filter.decide(measures.with_columns(rows["row"]), None)  # a per-row filter asks nothing of the pool
        for at, (verdict, reason) in enumerate(zip(said["verdict"], said["reason"], strict=True)):
            if verdict != "keep" and not reasons[at]:
                reasons[at] = f"{name}: {reason}"
    return reasons


def _in_others(rows: pl.DataFrame, wanted: str) -> list[str]:
    """For each row which of its texts is in another language than wanted; of code and short texts none is told."""
    reasons = [""] * len(rows)
    for name, what in (("response", "response"), ("prompt", "instruction")):
        for at, told in enumerate(languages(rows[name])["language"]):
            if told not in (wanted, "code", None):
                reasons[at] = f"the {what} is in {told}, not {wanted}"
    return reasons


def _turn(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "extra": None}


@cache
def _opened(name: str) -> Any:
    return load_filter(name)()
