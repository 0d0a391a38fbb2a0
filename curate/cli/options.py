"""The options that every command shares which reads rows, and how their values are read."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Size(click.ParamType[int]):
    """A number of bytes, as 1000000, 500K, 64M or 1G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        if isinstance(value, int):
            return value
        digits = str(value).lower().removesuffix("b")
        unit = SIZES.get(digits[-1:], 1)
        number = digits[:-1] if unit > 1 else digits
        if not number.isdecimal() or not int(number):
            self.fail(f"{value} is not a size; write 500K, 64M or 1G", param, ctx)
        return int(number) * unit


class Pair(click.ParamType[tuple[str, str]]):
    """`THEIRS=OURS`."""

    name = "theirs=ours"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The two names."""
        if isinstance(value, tuple):
            return value
        theirs, equals, ours = str(value).partition("=")
        if not (theirs and equals and ours):
            self.fail(f"{value} is not THEIRS=OURS, as in answer=output", param, ctx)
        return theirs, ours


SHAPE_OPTIONS = [
    click.option("--format", metavar="SHAPE", help="Read every record as this shape; else it is detected."),
    click.option(
        "--map",
        type=Pair(),
        multiple=True,
        callback=lambda _context, _option, pairs: dict(pairs),
        help="Read their field as ours: --map answer=output.",
    ),
    click.option("--max-line", type=Size(), help="Longest record that is read, in bytes (default 32M)."),
    click.option("--limit", type=click.IntRange(1), help="Read only the first N records."),
]
RUN_OPTIONS = [
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance."),
    click.option("--threads", type=click.IntRange(1), help="Threads to work with (default: all cores)."),
    click.option("--plugin", "plugins", type=click.Path(), multiple=True, help="A Python file that defines a filter."),
]
JUDGE_OPTIONS = [
    click.option("--model", required=True, help="vllm:NAME_OR_PATH, http://HOST:PORT/v1#NAME or hf:NAME_OR_PATH."),
    click.option(
        "--rubric", default="educational-value", show_default=True, metavar="NAME|FILE", help="See `curate rubrics`."
    ),
    click.option("--language", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="Of the rubric."),
    click.option(
        "--mode",
        type=click.Choice(["expected", "text", "choice"]),
        help="How it answers (default: expected, or text where the model gives no log-probabilities).",
    ),
    click.option("--max-chars", type=click.IntRange(1), help="How much of a row it reads (default 12,000)."),
    click.option("--long", type=click.Choice(["cut", "unscored"]), help="What becomes of longer rows (default: cut)."),
]
MODEL_OPTIONS = [
    click.option("--budget", type=click.FloatRange(0, min_open=True), help="Stop when models have cost so much."),
    click.option("--max-tokens", type=click.IntRange(1), help="Stop after so many tokens, in and out."),
]
DEFAULT_WORK_DIR = ".curate"
WORK_DIR = click.option(
    "--work-dir", type=click.Path(), default=DEFAULT_WORK_DIR, show_default=True, help="Where pools and runs are kept."
)


def with_options(*groups: Any) -> Callable[[Command], Command]:
    """A decorator that adds options, or lists of them, in order."""

    def add(command: Command) -> Command:
        flat = [option for group in groups for option in (group if isinstance(group, list) else [group])]
        for option in reversed(flat):
            command = option(command)
        return command

    return add
