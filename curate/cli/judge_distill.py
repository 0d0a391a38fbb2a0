"""`curate judge distill`."""

from typing import TYPE_CHECKING

import click

from curate.cli.options import WORK_DIR, with_options
from curate.cli.text import safe

if TYPE_CHECKING:
    from curate.judging.distilled import Card


@click.command("distill")
@click.argument("scores", metavar="SCORED|RUN")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Where the classifier is written.")
@click.option(
    "--embedder", default="default", show_default=True, metavar="NAME", help="default, static:NAME or st:NAME."
)
@click.option("--cut", type=float, help="Score from which a row is kept (default: the rubric's).")
@click.option("--step", metavar="NAME", help="Which judge, of a run that has several.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other rows held out.")
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON on stdout.")
@with_options(WORK_DIR)
def command(
    scores: str,
    output: str,
    embedder: str,
    cut: float | None,
    step: str | None,
    seed: int,
    as_json: bool,
    work_dir: str,
) -> None:
    """Teach a fast classifier what a judge said of some rows, for the filter `distilled`.

    SCORED is a file that `curate judge` wrote, RUN a run with a step `judge`. A fifth of the rows is held out to tell
    how well the classifier learnt; near-duplicates and rows of the same prompt are never on both sides.
    """
    from curate.cli.console import Screen
    from curate.judging.distilling import distill

    screen = Screen()
    with screen.working() as working:
        card = distill(
            scores, output, embedder=embedder, cut=cut, step=step, seed=seed, work_dir=work_dir, working=working
        )
    if as_json:
        import orjson

        click.echo(orjson.dumps(card).decode())
    else:
        _show(card)
    held = card.held_out
    if held.f1_low <= held.f1_of_all:
        screen.notice(
            "warning: keeping every row does about as well: judge more rows, or try --embedder static:NAME or st:NAME"
        )
    screen.notice(f"classifier -> {safe(output)}; use it as `distilled: {{model: {safe(output)}, judge: MODEL}}`")


def _show(card: "Card") -> None:
    held = card.held_out
    click.echo(f"{safe(card.rubric, 40)}, kept from {card.cut:g}: learnt from {card.learnt_from:,} rows\n")
    click.echo(f"  on {held.rows:,} rows held out, of which the judge keeps {held.kept:.0%}:")
    interval = f"95 % interval {held.f1_low:.2f} to {held.f1_high:.2f}; keeping every row: {held.f1_of_all:.2f}"
    click.echo(f"  F1 at the cut             {held.f1:6.2f}   {interval}")
    click.echo(f"  F1, cross-validated       {card.cross_validated_f1:6.2f}")
    if held.spearman is not None:
        click.echo(
            f"  rank correlation          {held.spearman:6.2f}   of the expected and the judge's score (Spearman)"
        )
    click.echo(f"  error of the score        {held.error:6.2f}   points, on average")
    click.echo(f"  error of the chance       {held.miscalibration:6.2f}   on average over ten bins")
    click.echo(f"  rows a second          {held.rows_a_second:9,.0f}   on one thread\n")
    click.echo(f"  {'sure':>6}{'calls saved':>14}{'F1 with the judge on the rest':>32}")
    for band in held.bands:
        click.echo(f"  {band.sure:>6.2f}{band.saved:>14.0%}{band.f1:>32.2f}")
