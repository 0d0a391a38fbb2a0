"""`curate restore`."""

import click

from curate.cli.options import WORK_DIR, with_options


@click.command("restore", context_settings={"ignore_unknown_options": True})  # a row of standard input is -:42
@click.argument("rows", nargs=-1, metavar="[ROW]...")
@click.option("--step", "steps", multiple=True, help="Every row that this step dropped.")
@click.option("--where", metavar="SQL", help="Rows for which this holds: \"step = 'length' AND value > 5\".")
@click.option("--orphans", is_flag=True, help="The best of the rows whose rival was dropped later.")
@click.option("-o", "--output", type=click.Path(), help="Where to write (default: the run's output).")
@click.option("--run", "run_name", metavar="NAME", help="Which run (default: the last that finished).")
@with_options(WORK_DIR)
def command(
    rows: tuple[str, ...],
    steps: tuple[str, ...],
    where: str | None,
    orphans: bool,
    output: str | None,
    run_name: str | None,
    work_dir: str,
) -> None:
    """Bring dropped rows back, in their place, and write the output again.

    ROW is FILE:LINE, row:N or an id. The ledger gets a last part that says so; nothing in it is rewritten.
    """
    from pathlib import Path

    from curate.cli.console import Screen
    from curate.disk import disk_faults
    from curate.ledger import find_run
    from curate.restoring import restore

    work = Path(work_dir)
    run = find_run(work, run_name, finished=True)
    target = Path(output or run.read_facts()["output"])
    screen = Screen()
    with screen.working() as working, disk_faults(work, target.absolute().parent):
        done = restore(
            run,
            work,
            rows,
            steps=steps,
            where=where,
            orphaned=orphans,
            output=target,
            working=working,
        )
    screen.notice(f"restored {done.rows:,} rows: {done.kept:,} rows -> {done.output}")
