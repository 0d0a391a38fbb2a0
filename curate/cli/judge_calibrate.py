"""`curate judge calibrate`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from curate.cli.options import JUDGE_OPTIONS, MODEL_OPTIONS, SHAPE_OPTIONS, WORK_DIR, with_options
from curate.cli.text import safe, safe_lines

if TYPE_CHECKING:
    from curate.judging.calibrating import Calibration
    from curate.judging.drawing import Drawn
    from curate.judging.labelling import Labelling, Shown

WIDTH = 80


@click.command("calibrate")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option(
    "--rows", type=click.IntRange(10, 1000), default=60, show_default=True, help="Rows to label; 50 to 100 do."
)
@click.option("--labels", metavar="FILE", help='Labels there are: {"id" or "row": ..., "label": ...}, one a line.')
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other rows.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on stdout.")
@with_options(JUDGE_OPTIONS, MODEL_OPTIONS, SHAPE_OPTIONS, WORK_DIR)
def command(
    inputs: tuple[str, ...],
    model: str,
    rubric: str,
    rows: int,
    labels: str | None,
    seed: int,
    as_json: bool,
    budget: float | None,
    max_tokens: int | None,
    **more: Any,
) -> int:
    """Compare a judge with your own labels, before you trust it.

    Rows drawn evenly over the judge's scale are shown one after the other; one key labels each, and what the judge
    said is not shown. Stop whenever you like: the same command goes on. Or give labels in a file.
    """
    from pathlib import Path

    from curate.cli.console import Screen
    from curate.cli.settings import spending
    from curate.errors import UsageError
    from curate.judging.calibrating import calibrated
    from curate.judging.drawing import draw
    from curate.judging.labelling import LEAST, LabelFile, Labelling, labels_file, values_of
    from curate.judging.rubrics import load_rubric

    text = load_rubric(rubric, more["language"])
    kept = labels_file(Path(more["work_dir"]), text)
    labelling_here = labels is None and sys.stdin.isatty()
    if labels is None and not sys.stdin.isatty() and not kept.exists():
        raise UsageError("labelling needs a terminal, and there are no labels yet", "or give some: --labels FILE")
    given = {name: more.pop(name) for name in ("language", "mode", "max_chars", "long")}
    settings = {name: value for name, value in given.items() if value is not None}
    screen = Screen()
    with screen.working(spending=spending(budget, max_tokens)) as working:
        drawn = draw(
            inputs,
            model=model,
            rubric=rubric,
            rows=rows,
            labels=labels,
            settings=settings,
            seed=seed,
            working=working,
            **more,
        )
    file = LabelFile(drawn.file, values_of(text))
    if labelling_here:
        labelling = Labelling(drawn.rows["id"].to_list(), file, text)
        _label(labelling, drawn)
        if labelling.next and labelling.labelled < LEAST:
            _say(f"{labelling.labelled} rows are labelled; from {LEAST} on the judge is compared with your labels")
            return 1
    found = calibrated(drawn, file.given)
    if as_json:
        import dataclasses

        import orjson

        click.echo(orjson.dumps(dataclasses.asdict(found)).decode())
    else:
        _show(found)
    screen.check_answered(working.spending)
    return 0


def _label(labelling: "Labelling", drawn: "Drawn") -> None:
    """Show one row after the other and do what the keys say, until all are labelled or the person stops."""
    from curate.judging.labelling import QUIT, RUBRIC, meant

    if labelling.next is None:
        return
    texts = _texts(drawn)
    help = " ".join(key if key == label else f"{key}={safe(label, 20)}" for key, label in labelling.keys.items())
    with _keys() as key:
        _say(f"{drawn.rubric.text}\n")
        twice = f"{len(labelling.twice)} of them a second time at the end: how far you agree with yourself"
        _say(f"{len(labelling.rows)} rows, {twice}\n")
        while shown := labelling.next:
            _forget_typed()
            _say(f"{'─' * WIDTH}\nrow {shown.number} of {shown.of}\n")
            _say(_as_shown(texts[shown.row], shown, labelling))
            while True:
                click.echo(f"{help} · u undo · s skip · ? rubric · q quit: ", nl=False, err=True)
                pressed = meant(key())
                if pressed == QUIT:
                    _say(f"\nkept in {labelling.file.path}; the same command goes on")
                    return
                done = drawn.rubric.text if pressed == RUBRIC else labelling.press(pressed, shown)
                _say(done or "no such key")
                if done and pressed != RUBRIC:
                    break


def _texts(drawn: "Drawn") -> dict[str, dict[str, str]]:
    """What is shown of each row, by id: as much as the judge reads."""
    import polars as pl

    from curate.judging.judging import READS
    from curate.judging.rows import texts_of

    found = {}
    for row in pl.concat(drawn.pool.texts(drawn.rows["row"].sort(), ["id", *READS])).iter_rows(named=True):
        found[row["id"]], _, _ = texts_of(row, drawn.rubric.pairwise, drawn.judge.max_chars)
    return found


def _as_shown(texts: dict[str, str], shown: "Shown", labelling: "Labelling") -> str:
    parts = list(texts.items())
    if labelling.rubric.pairwise:  # the answers stand under the names that the rubric gives them
        asked, *answers = (text for _, text in parts)
        named = zip(labelling.rubric.scale, answers[::-1] if shown.swapped else answers, strict=True)
        parts = [("prompt", asked), *named]
    return "\n\n".join(f"[{name}]\n{text}" for name, text in parts) + "\n"


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Reads one key at a time, without Enter."""
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)

    def key() -> str:
        typed = os.read(terminal, 64).decode("utf-8", "ignore")
        if typed.startswith("\x1b"):  # an arrow is several characters, none of which is meant
            return ""
        return typed[:1] or "q"  # a terminal that is gone has nothing more to say

    try:
        yield key
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _forget_typed() -> None:
    """What was typed before a row is shown was not meant for it."""
    import termios

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _say(text: str) -> None:
    """Lines on stderr, broken between words where they are wider than the screen."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text(safe_lines(text)))


def _show(found: "Calibration") -> None:
    from curate.reporting.calibration import lines_of

    against = f"against {found.labelled} labels of {found.drawn} rows"
    click.echo(f"{safe(found.rubric, 25)} ({found.language}), mode {found.mode}, {against}")
    click.echo(f"judge: {safe(found.model, 70)}\n")
    click.echo(f"  {'':27}{'value':>7}   95 % interval, or what it says")
    for name, value, said in lines_of(found):
        click.echo(f"  {name:27}{value:>7}   {said}")
    click.echo("  (told of these rows, whose mix of scores is not that of the whole input)")
    click.echo(f"\n  {'keeping the rows that score':31}{'kept':>7}{'precision':>11}{'recall':>8}{'F1':>6}")
    for cut, name in zip(found.cuts, ("the rubric's cut", "best by Youden's index"), strict=False):
        cells = f"{cut.kept:>7.0%}{cut.precision:>11.2f}{cut.recall:>8.2f}{cut.f1:>6.2f}"
        click.echo(f"  {f'{cut.at:.2f}, {name}':31}{cells}")
    click.echo(f"\n  {found.parsed:.1%} of {found.judged:,} rows judged have a score:")
    largest = max(found.histogram.values()) or 1
    for name, count in found.histogram.items():
        click.echo(f"  {safe(name, 12):>12} {count:>6,}  {'█' * round(40 * count / largest)}")
    for cause, count in found.unscored.items():
        click.echo(f"  {'unscored':>12} {count:>6,}  {safe(cause, 55)}")
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"labels: {found.file}\nthe same with the rows on which they differ most: {found.report}", err=True)
