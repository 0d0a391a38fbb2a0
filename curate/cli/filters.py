"""`curate filters`."""

from typing import Any

import click


@click.group("filters", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the filters; `curate filters show NAME` explains one."""
    if ctx.invoked_subcommand is None:
        from rich.table import Table
        from rich.text import Text

        from curate.cli.console import stdout
        from curate.errors import UsageError
        from curate.registry import filter_names, load_filter

        table = Table(box=None, pad_edge=False, show_header=False)
        for name, origin in sorted(filter_names().items()):
            try:
                about = (load_filter(name).__doc__ or "").partition("\n")[0]
            except UsageError as error:  # one broken package hides no other filter
                about = error.message
            table.add_row(Text(name, style="bold"), Text(about if origin == "built-in" else f"{about} ({origin})"))
        stdout().print(table)


@command.command("show")
@click.argument("name")
@click.option("--plugin", "plugins", type=click.Path(), multiple=True, help="A Python file that defines a filter.")
def show(name: str, plugins: tuple[str, ...]) -> None:
    """What a filter does, and its parameters."""
    import inspect
    import sys
    import typing
    from pathlib import Path

    from curate.protocol import parameters
    from curate.registry import load_filter, load_plugins

    found = load_filter(name, load_plugins([Path(file) for file in plugins]))
    click.echo(f"{name}\n")
    for text in (sys.modules[found.__module__].__doc__, found.__doc__):
        if text:
            click.echo(inspect.cleandoc(text) + "\n")
    help_of = _field_help(inspect.getsource(found))
    hints = typing.get_type_hints(found)
    for field in parameters(found).values():
        missing = field.default is inspect.Parameter.empty or "MISSING" in repr(field.default)
        value = list(field.default) if isinstance(field.default, tuple) else field.default
        default = "required" if missing else f"default {value!r}"
        click.echo(f"  {field.name}: {_kind(hints[field.name])} ({default})")
        if field.name in help_of:
            click.echo(f"      {help_of[field.name]}")


def _kind(hint: Any) -> str:
    """A parameter's type for people: `int | None`, `list of str`, or what can be chosen: `response | prompt | both`."""
    import types
    import typing

    if isinstance(hint, types.UnionType):
        return " | ".join(_kind(option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"list of {_kind(typing.get_args(hint)[0])}"
    return "None" if hint is type(None) else str(getattr(hint, "__name__", hint))


def _field_help(source: str) -> dict[str, str]:
    """The text below each field of a class, by the field's name."""
    import ast
    import textwrap
    from itertools import pairwise

    (body,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in pairwise(body.body):
        named = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if named and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found
