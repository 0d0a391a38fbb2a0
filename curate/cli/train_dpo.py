"""`curate train-dpo`."""

import click

from curate.cli.options import with_options
from curate.cli.training import TRAIN_OPTIONS


@click.command("train-dpo")
@click.option(
    "--data", multiple=True, required=True, metavar="FILE", help="Preferences: a chosen and a rejected answer."
)
@click.option("--model", default="model", show_default=True, metavar="NAME", help="What train-sft left, or OWNER/NAME.")
@click.option("-o", "--output", default="model-dpo", show_default=True, help="The folder of the trained model.")
@with_options(TRAIN_OPTIONS)
def command(
    data: tuple[str, ...],
    model: str,
    output: str,
    ratio: str | None,
    config: str | None,
    changes: tuple[str, ...],
    seed: int,
    as_json: bool,
    work_dir: str,
) -> None:
    """Train a model on preferences: to give the chosen answer more, and the rejected one less, than it did (DPO).

    It warns where the longer answer is mostly the chosen one. What the untouched model makes of the answers is computed
    once and kept. The same command after a crash goes on.

    On several GPUs: accelerate launch $(which curate) train-dpo ...
    """
    from curate.cli.console import Screen
    from curate.cli.training import ratio_of, shown_on, tell
    from curate.training.dpo import train_dpo
    from curate.training.settings import DpoSettings, settings_of

    screen = Screen()
    settings = settings_of(DpoSettings, config, changes)
    with screen.working() as working:
        done = train_dpo(
            data,
            output,
            model=model,
            settings=settings,
            ratio=ratio_of(ratio),
            seed=seed,
            work_dir=work_dir,
            working=working,
            show=shown_on(screen),
        )
    tell(screen, done, as_json)
