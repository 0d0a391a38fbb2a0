"""Defaults from `curate.toml`, in the current folder or a parent; a flag wins, then the environment, then the file.

[filter]
recipe = "longest"
work_dir = "/big/disk/.curate"
"""

from pathlib import Path
from typing import Any

import click

FILE = "curate.toml"


def default_map() -> dict[str, Any] | None:
    """The tables of the nearest `curate.toml`, one per command. Raises click.UsageError where it can't be read."""
    found = next((f / FILE for f in (Path.cwd(), *Path.cwd().parents) if (f / FILE).is_file()), None)
    if found is None:
        return None
    import tomllib

    from curate.cli import COMMANDS

    try:
        tables = tomllib.loads(found.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise click.UsageError(f"{found} can't be read: {error}") from None
    for name, table in tables.items():
        if name not in COMMANDS or not isinstance(table, dict):
            raise click.UsageError(f"{found}: {name} is no table of a command; known: {', '.join(COMMANDS)}")
    return {name: {key.replace("-", "_"): value for key, value in table.items()} for name, table in tables.items()}
