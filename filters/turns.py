"""Drop a conversation whose turns are empty or out of order.

user, user, assistant  is dropped: `turn 2 is user after user`; a conversation may end with a question that nobody
answered, if one before it was.
"""

from dataclasses import dataclass

import polars as pl

from curate.pool import Pool
from curate.protocol import all_of, check_bounds, threshold, unless_found, within

LETTERS = {"system": "s", "user": "u", "assistant": "a", "tool": "t", "text": "x"}
IN_ORDER = r"^(x|s?(?:(?:ua(?:t+a)*)+(?:u|t+)?|u)?)"
"""The longest start of a conversation that is in order: system first, then user and assistant in turn; tools answer
an assistant, who then goes on."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Roles in order, no turn empty, an answer somewhere; and, where wanted, how many turns."""

    per_row = True
    reads = ("messages",)
    min_turns: int | None = threshold(None)
    """Fewest turns to keep, the system's not counted."""
    max_turns: int | None = threshold(None)
    """Most turns to keep, the system's not counted."""

    def __post_init__(self) -> None:
        check_bounds("turns", self.min_turns, self.max_turns)

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        turn, messages = pl.element().struct, pl.col("messages")
        letters = messages.list.eval(turn.field("role").replace_strict(LETTERS))
        empty = messages.list.eval(turn.field("extra").is_null() & ~turn.field("content").str.contains(r"\S"))
        first = empty.list.eval(pl.element().arg_true().first()).list.first()
        return rows.select(
            roles=letters.list.join("", ignore_nulls=False),  # null: no conversation, as of another side
            turns=(messages.list.len() - letters.list.count_matches("s")).cast(pl.Int64),
            empty=first.cast(pl.Int64) + 1,
        )

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        roles = pl.col("roles")
        wrong = roles.str.extract(IN_ORDER).str.len_bytes().cast(pl.Int64)
        names = {letter: role for role, letter in LETTERS.items()}
        here, before = (roles.str.slice(at, 1).replace(names) for at in (wrong, pl.max_horizontal(wrong - 1, 0)))
        said = pl.format("turn {} is {} after {}", wrong + 1, here, before)
        first = pl.format("turn 1 is {}, user was expected", here)
        reason = (
            pl.when(wrong < roles.str.len_bytes())
            .then(pl.when(wrong == 0).then(first).otherwise(said))
            .when(~roles.str.contains("[ax]"))
            .then(pl.lit("no assistant turn"))
            .when(pl.col("empty").is_not_null())
            .then(pl.format("turn {} is empty", pl.col("empty")))
        )
        order = unless_found(measures, reason)
        return all_of([order, within(measures, "turns", self.min_turns, self.max_turns, "conversation", "turns")])
