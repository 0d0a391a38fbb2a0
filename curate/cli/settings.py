"""Defaults from `curate.toml`, in the current folder or a parent; a flag wins, then the environment, then the file.

[filter]
recipe = "longest"
work_dir = "/big/disk/.curate"

[prices."gpt-4o-mini"]      # in any currency, per million tokens
in = 0.15
out = 0.60
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from curate.spending import Spending

FILE, PRICES = "curate.toml", "prices"


def spending(budget: float | None, max_tokens: int | None) -> "Spending":
    """What a command may spend, with the prices of `curate.toml`. Raises UsageError for a budget without any."""
    from curate.errors import UsageError
    from curate.spending import Spending

    prices = {}
    for model, price in _tables().get(PRICES, {}).items():
        try:
            prices[model] = (float(price["in"]), float(price["out"]))
        except (KeyError, TypeError, ValueError):
            raise click.UsageError(f"{FILE}: the price of {model} is not `in = NUMBER, out = NUMBER`") from None
    if budget is not None and not prices:
        remedy = f'write into {FILE}: a line [prices."NAME"], then in = 0.15 and out = 0.60; or limit --max-tokens'
        raise UsageError("--budget needs to know what the model costs per million tokens", remedy)
    return Spending(max_tokens=max_tokens, budget=budget, prices=prices)


def _tables() -> dict[str, Any]:
    """What the nearest `curate.toml` holds; nothing where there is none."""
    found = next((f / FILE for f in (Path.cwd(), *Path.cwd().parents) if (f / FILE).is_file()), None)
    if found is None:
        return {}
    import tomllib

    try:
        return tomllib.loads(found.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise click.UsageError(f"{found} can't be read: {error}") from None


def default_map(command: str, options: Mapping[str, click.Option]) -> dict[str, Any] | None:
    """The table of `command` in the nearest `curate.toml`, by parameter. Raises click.UsageError for what it can't be.

    `options`: those of the command, by the names that the file gives them.
    """
    tables = _tables()
    from curate.cli import COMMANDS

    for name, table in tables.items():
        if name not in (*COMMANDS, PRICES) or not isinstance(table, dict):
            known = ", ".join((*COMMANDS, PRICES))
            raise click.UsageError(f"{FILE}: {name} is no table of a command; known: {known}")
    given = {key.replace("-", "_"): value for key, value in tables.get(command, {}).items()}
    for key in given:
        if key not in options:
            from curate.errors import nearest

            raise click.UsageError(f"{FILE}: {command} has no option {key}; {nearest(key, list(options))}")
    return {command: {str(options[key].name): value for key, value in given.items()}}
