"""`curate convert`."""

from typing import Any

import click

from curate.cli.options import SHAPE_OPTIONS, WORK_DIR, with_options

TARGETS = ("alpaca", "messages", "sharegpt", "prompt-completion", "preference", "text")


@click.command("convert")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("-o", "--output", required=True, help="The ending decides the format.")
@click.option("--to", type=click.Choice(TARGETS), required=True, help="The shape to write.")
@click.option("--redact", is_flag=True, help="Replace addresses, phone, card and resident numbers, as by [EMAIL].")
@with_options(SHAPE_OPTIONS, WORK_DIR)
def command(inputs: tuple[str, ...], output: str, to: str, redact: bool, work_dir: str, **reading: Any) -> None:
    """Write rows in another shape; what a record holds besides is carried along.

    `text` is Alpaca's `### Instruction:` rendering, in Korean where the row is.
    """
    from curate.cli.console import Screen
    from curate.converting import convert

    screen = Screen()
    with screen.working() as working:
        done = convert(
            inputs,
            output,
            to,
            redact=redact,
            work_dir=work_dir,
            working=working,
            **reading,
        )
    screen.notice(f"{done.rows:,} rows of {done.records:,} records -> {output}")
