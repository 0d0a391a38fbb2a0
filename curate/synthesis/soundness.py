"""Whether a written row is sound: the row filters of recipe `default` and more look at it as they do at any row.

A draft whose response ends in mid-sentence is lost: `broken: the response breaks off: no end after "and then the"`.
"""

from functools import cache
from typing import Any

import polars as pl

from curate.protocol import trait
from curate.registry import load_filter
from curate.synthesis.drafts import Lost
from curate.texts.languages import languages

FILTERS = ("broken", "language", "refusal", "repetition", "unseen", "arithmetic", "secrets", "pii")
"""What a row must pass; code and its solutions are proven otherwise, so exercises pass the last two alone."""


def check_sound(instruction: str, response: str, names: tuple[str, ...] = FILTERS) -> None:
    """Raises Lost where one of the filters would drop the row."""
    row = pl.DataFrame(
        {
            "row": pl.Series([0], dtype=pl.UInt64),
            "prompt": [instruction],
            "response": [response],
            "messages": [[_turn("user", instruction), _turn("assistant", response)]],
        }
    )
    for name in names:
        filter = _opened(name)
        measures = filter.measure(row.select("row", *trait(filter, "reads")))
        said = filter.decide(measures.with_columns(row["row"]), None)  # a per-row filter asks nothing of the pool
        if said["verdict"][0] != "keep":
            raise Lost("sound", f"{name}: {said['reason'][0]}")


def check_language(wanted: str, instruction: str, response: str) -> None:
    """Raises Lost where one of the texts is in another language than wanted; of code and short texts none is told."""
    told = languages(pl.Series([instruction, response]))["language"].to_list()
    for what, language in zip(("instruction", "response"), told, strict=True):
        if language not in (wanted, "code", None):
            raise Lost("sound", f"the {what} is in {language}, not {wanted}")


def _turn(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "extra": None}


@cache
def _opened(name: str) -> Any:
    return load_filter(name)()
