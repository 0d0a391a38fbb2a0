"""`curate ablate`."""

import click

from curate.cli.options import WORK_DIR, with_options


@click.command("ablate")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--recipe", "recipes", multiple=True, metavar="NAME|FILE", help="A recipe to try; random is always there."
)
@click.option("--test", multiple=True, required=True, metavar="FILE", help="Rows whose responses are to become likely.")
@click.option("--rows", type=click.IntRange(1), help="How many rows each recipe picks.")
@click.option("--tokens", type=click.IntRange(1), help="Or how many tokens.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How often each is repeated.")
@click.option("--leave-one-out", is_flag=True, help="Also the recipe without each of its filters.")
@click.option("--model", metavar="NAME", help="A folder, or OWNER/NAME on the hub; a small open one by default.")
@click.option("-o", "--output", default="ablation", show_default=True, help="The folder of what is found.")
@click.option(
    "--preset", default="lora-small", show_default=True, help="Settings of the training; --config goes over it."
)
@click.option("--config", metavar="FILE", help="A YAML file of settings.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting of the training: epochs=1.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(WORK_DIR)
def command(
    inputs: tuple[str, ...],
    recipes: tuple[str, ...],
    test: tuple[str, ...],
    rows: int | None,
    tokens: int | None,
    seeds: int,
    leave_one_out: bool,
    model: str | None,
    output: str,
    preset: str,
    config: str | None,
    changes: tuple[str, ...],
    as_json: bool,
    work_dir: str,
) -> None:
    """Find out which recipe picks the rows that a model learns most from.

    Each recipe picks as much from the same rows, a model is trained on each with the same settings, and all are
    measured by their loss on --test. Told is which differences are real and which are noise. A model that is trained
    once is not trained again: the same command goes on after a crash, and with more recipes or seeds.
    """
    from pathlib import Path

    from curate.cli.console import Screen
    from curate.cli.text import safe
    from curate.evaluating.ablating import Budget, ablate
    from curate.models.defaults import SFT, SFT_NEEDS
    from curate.training.settings import load_settings

    screen = Screen()
    settings = load_settings(preset, config, changes)
    if model is None:
        model = SFT
        screen.notice(f"model: {model}, the default; it needs {SFT_NEEDS}")
    with screen.working() as working:
        done = ablate(
            inputs,
            recipes,
            test=test,
            model=model,
            budget=Budget(rows=rows, tokens=tokens),
            settings=settings,
            seeds=seeds,
            leave_one_out=leave_one_out,
            output=output,
            work_dir=work_dir,
            working=working,
        )
    for each in done.recipes:
        apart = (
            "" if each.recipe == "random" else f"  {each.apart:+.4f} ({each.apart_low:+.4f} to {each.apart_high:+.4f})"
        )
        screen.notice(f"  {safe(each.recipe, 30):<30} {each.mean:.4f} ({each.low:.4f} to {each.high:.4f}){apart}")
    screen.notice(safe(done.conclusion))
    screen.notice(f"loss in nats a token, with the difference from random -> {done.output / 'ablation.html'}")
    if as_json:
        click.echo((Path(output) / "ablation.json").read_text())
