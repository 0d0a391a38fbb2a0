"""Defaults from `curate.toml`, in the current folder or a parent; a flag wins, then the environment, then the file.

[filter]
recipe = "longest"
work_dir = "/big/disk/.curate"
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

FILE = "curate.toml"


def default_map(command: str, options: Mapping[str, click.Option]) -> dict[str, Any] | None:
    """The table of `command` in the nearest `curate.toml`, by parameter. Raises click.UsageError for what it can't be.

    `options`: those of the command, by the names that the file gives them.
    """
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
    given = {key.replace("-", "_"): value for key, value in tables.get(command, {}).items()}
    for key in given:
        if key not in options:
            from curate.errors import nearest

            raise click.UsageError(f"{found}: {command} has no option {key}; {nearest(key, list(options))}")
    return {command: {str(options[key].name): value for key, value in given.items()}}
