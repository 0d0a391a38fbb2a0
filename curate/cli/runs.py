"""`curate runs`."""

from typing import Literal

import click

from curate.cli.options import WORK_DIR, with_options


@click.group("runs", invoke_without_command=True)
@with_options(WORK_DIR)
@click.pass_context
def command(ctx: click.Context, work_dir: str) -> None:
    """List the runs, the newest first; `curate runs clean` deletes what they left."""
    ctx.obj = work_dir
    if ctx.invoked_subcommand is None:
        from pathlib import Path

        from rich.table import Table
        from rich.text import Text

        from curate.cli.console import stdout
        from curate.cli.text import safe
        from curate.ledger import run_directories

        runs = run_directories(Path(work_dir))
        if not runs:
            click.echo(f"no runs in {work_dir}", err=True)
            return
        console = stdout()
        table = Table(box=None, pad_edge=False, width=console.width)
        for name in ("run", "recipe", "status", "kept", "of", "input"):
            right: Literal["right", "left"] = "right" if name in ("kept", "of") else "left"
            left_over = 1 if name == "input" else None
            table.add_column(name, no_wrap=True, overflow="ellipsis", justify=right, ratio=left_over)
        for run in runs:
            facts = run.read_facts()
            sums = facts.get("summary", {})
            numbers = [f"{sums[name]:,}" if sums else "" for name in ("kept", "rows_in")]
            inputs = " ".join(safe(source["name"], 40) for source in facts["inputs"])
            table.add_row(run.name, Text(safe(facts["recipe"]["name"])), facts["status"], *numbers, Text(inputs))
        console.print(table)


@command.command("clean")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--work-dir", type=click.Path(), help="As before `clean`: where pools and runs are kept.")
@click.pass_obj
def clean(of_group: str, yes: bool, work_dir: str | None) -> None:
    """Delete runs, pools, measures and embeddings, after showing what takes how much. Outputs and inputs stay."""
    import shutil
    from pathlib import Path

    work = Path(work_dir or of_group)
    sizes = {
        path: sum(f.stat().st_size for f in (path, *path.rglob("*")) if f.is_file())
        for kind in ("embeddings", "pools", "runs")
        for path in sorted(work.glob(f"{kind}/*"))
    }
    if not sizes:
        click.echo(f"nothing to delete in {work}", err=True)
        return
    for path, size in sizes.items():
        click.echo(f"{size / 1e6:12,.1f} MB  {path}")
    click.echo(f"{sum(sizes.values()) / 1e6:12,.1f} MB  in all")
    click.echo("Without these, `why` and `restore` can't answer for earlier runs.")
    if not yes and not click.confirm("Delete?"):
        click.echo("nothing was deleted", err=True)
        return
    for path in sizes:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
