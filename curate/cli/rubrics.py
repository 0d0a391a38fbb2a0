"""`curate rubrics`."""

import click


@click.group("rubrics", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the rubrics; `curate rubrics show NAME` prints one."""
    if ctx.invoked_subcommand is None:
        from curate.judging.rubrics import built_in_rubrics, load_rubric

        for name, files in sorted(built_in_rubrics().items()):
            rubric = load_rubric(name)
            keep = "" if rubric.keep is None else f", worth keeping from {rubric.keep:g}"
            click.secho(name, bold=True)
            click.echo(f"  {rubric.about}")
            click.echo(f"  scale: {', '.join(rubric.scale)}{keep}; languages: {', '.join(sorted(files))}")


@command.command("show")
@click.argument("name")
@click.option("--language", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="Of the rubric.")
def show(name: str, language: str) -> None:
    """The rubric as a file: save it, change it, judge by it with --rubric FILE."""
    from curate.errors import UsageError, nearest
    from curate.judging.rubrics import built_in_rubrics

    known = built_in_rubrics()
    if name not in known:
        raise UsageError(f"no rubric is called {name}", nearest(name, list(known)))
    click.echo(known[name][language].read_text().rstrip())
