"""Write docs/commands.md from the commands themselves; a test holds the file against it."""

import os
from pathlib import Path

import click

from curate.cli import COMMANDS, root

HEAD = """# The commands

Made by `make docs` from `curate COMMAND --help`; don't edit.
"""


def page() -> str:
    """The reference of every command, as Markdown."""
    os.environ["COLUMNS"] = "100"
    context = click.Context(root, info_name="curate", **root.context_settings)
    parts = [HEAD, _section(root, context)]
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        parts.append(_section(command, inner))
        if isinstance(command, click.Group):
            for sub in command.list_commands(inner):
                found = command.get_command(inner, sub)
                assert found is not None
                parts.append(_section(found, click.Context(found, info_name=sub, parent=inner)))
    return "\n".join(parts)


def _section(command: click.Command, context: click.Context) -> str:
    context.max_content_width = context.terminal_width = 100
    return f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    (Path(__file__).parent / "commands.md").write_text(page())
