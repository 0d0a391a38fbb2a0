"""What the commands that train share: their options, what they show before, and what they tell at the end."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from curate.cli.options import WORK_DIR

if TYPE_CHECKING:
    from curate.cli.console import Screen
    from curate.training.running import Trained

TRAIN_OPTIONS = [
    click.option("--ratio", metavar="A:B", help="How rows of several --data stand to each other, as in 3:1."),
    click.option("--config", metavar="FILE", help="A YAML file of settings."),
    click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting: epochs=1, trl.optim=sgd."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance."),
    click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout."),
    WORK_DIR,
]


def shown_on(screen: "Screen") -> Callable[[list[tuple[str, bool]]], None]:
    """What shows a row token by token."""
    from rich.text import Text

    from curate.cli.text import safe

    def show(tokens: list[tuple[str, bool]]) -> None:
        line = Text("one row, what is learnt in green: ")
        for k, (text, learnt) in enumerate(tokens):
            line.append(safe(text), style=f"{'green' if learnt else 'dim'}{' underline' if k % 2 else ''}")
        screen.console.print(line)

    return show


def tell(screen: "Screen", done: "Trained", as_json: bool) -> None:
    """What came of a training; of several processes only the first one has it."""
    import json
    from dataclasses import asdict

    from curate.cli.text import safe
    from curate.training.running import is_first

    if not is_first():
        return
    screen.notice(f"{done.steps:,} steps in {done.seconds:,.0f} s -> {done.output}")
    for name, value in done.measures.items():
        if not name.startswith("eval_"):
            held = done.measures.get(f"eval_{name}")
            screen.notice(f"  {name} {value:.4g}" + ("" if held is None else f", {held:.4g} on held-out rows"))
    for before, after in zip(done.before, done.after, strict=True):
        for what, text in (("asked ", after.prompt), ("before", before.said), ("after ", after.said)):
            screen.notice(f"  {what}  {safe(text, 200)}")
    if as_json:
        click.echo(json.dumps(asdict(done) | {"output": str(done.output)}, ensure_ascii=False))


def ratio_of(text: str | None) -> list[float]:
    """The shares of `3:1`. Raises BadParameter."""
    try:
        shares = [float(share) for share in text.split(":")] if text else []
    except ValueError:
        shares = [-1.0]
    if any(share < 0 for share in shares) or (shares and not any(shares)):
        raise click.BadParameter(f"{text} is no ratio", param_hint="--ratio")
    return shares
