"""`curate recipes`."""

import click


@click.group("recipes", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the recipes; `curate recipes show NAME` prints one."""
    if ctx.invoked_subcommand is None:
        from curate.recipe import built_in_recipes, outline

        for name in sorted(built_in_recipes()):
            about, steps = outline(name)
            click.secho(name, bold=True)
            click.echo(f"  {about}")
            click.echo(f"  steps: {', '.join(steps)}")


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """The recipe as YAML: save it, change it, run it with --recipe FILE."""
    from curate.errors import UsageError, nearest
    from curate.recipe import built_in_recipes

    known = built_in_recipes()
    if name not in known:
        raise UsageError(f"no recipe is called {name}", nearest(name, list(known)))
    click.echo(known[name].read_text().rstrip())
