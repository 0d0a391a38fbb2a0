"""`curate inspect`."""

from typing import Any

import click

from curate.cli.options import SHAPE_OPTIONS, WORK_DIR, with_options


@click.command("inspect")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another seed, other examples.")
@with_options(SHAPE_OPTIONS, WORK_DIR)
def command(inputs: tuple[str, ...], as_json: bool, seed: int, work_dir: str, **reading: Any) -> None:
    """Look at rows without dropping any: shapes, lengths, languages, duplicates, defects, examples."""
    from curate.cli.console import Screen
    from curate.inspecting import inspect

    screen = Screen()
    with screen.working() as working:
        found = inspect(
            inputs,
            seed=seed,
            work_dir=work_dir,
            working=working,
            **reading,
        )
    if as_json:
        import dataclasses

        import orjson

        click.echo(orjson.dumps(dataclasses.asdict(found)).decode())
    else:
        _show(found)


def _show(found: Any) -> None:
    from curate.cli.text import safe

    for source in found.sources:
        shapes = ", ".join(f"{count:,} {shape}" for shape, count in source["shapes"].items())
        click.echo(f"{safe(source['source'])}: {source['rows']:,} rows ({shapes or 'none could be read'})")
    click.echo(f"{found.records:,} records, {found.rows:,} rows, {found.rejected:,} could not be read")
    for record in found.unreadable:
        click.echo(f"  {safe(record['source'])}:{record['line']}  {safe(record['cause'])}")
    click.echo(f"\nabout {found.tokens:,} tokens; characters:")
    click.echo(f"  {'':10}{'min':>9}{'25 %':>9}{'median':>9}{'75 %':>9}{'max':>11}{'mean':>10}")
    for side, n in found.lengths.items():
        cells = f"{n.min:9,.0f}{n.q25:9,.0f}{n.median:9,.0f}{n.q75:9,.0f}{n.max:11,.0f}{n.mean:10,.1f}"
        click.echo(f"  {side:10}{cells}")
    click.echo("\nlanguages of the responses:")
    for name, count in found.languages.items():
        click.echo(f"  {name:12}{count:9,}  {count / found.rows:6.1%}")
    click.echo(f"  {'with code':12}{found.with_code:9,}  {found.with_code / found.rows:6.1%}")
    click.echo(f"\nexact copies: {found.duplicates:,} ({found.duplicates / found.rows:.1%})")
    share = f"about {found.near_duplicates:.1%}, as {found.looked_for:,} rows tell that were looked for in all"
    click.echo(f"near-duplicates: {share}")
    click.echo("defects, by the filters of the default recipe:" if found.defects else "defects: none found")
    for reason, count in found.defects.items():
        click.echo(f"  {count:9,}  {reason}")
    if found.fields:
        click.echo(f"\nother fields: {safe(', '.join(found.fields), 300)}")
    click.echo("\nexamples:")
    for row in found.examples:
        click.echo(f"  {safe(row['source'])}:{row['line']}")
        click.echo(f"    {safe(row['prompt'], 150)}")
        click.echo(f"    -> {safe(row['response'] if row['response'] is not None else '(no response)', 150)}")
