"""`curate train-sft`."""

import click

from curate.cli.options import with_options
from curate.cli.training import TRAIN_OPTIONS


@click.command("train-sft")
@click.option("--data", multiple=True, metavar="FILE", help="Rows to train on (default: curated.jsonl, synth.jsonl).")
@click.option("--model", metavar="NAME", help="A folder, or OWNER/NAME on the hub; a small open one by default.")
@click.option("-o", "--output", default="model", show_default=True, help="The folder of the trained model.")
@click.option("--preset", default="lora-small", show_default=True, help="lora-small or lima; --config goes over it.")
@with_options(TRAIN_OPTIONS)
def command(
    data: tuple[str, ...],
    model: str | None,
    output: str,
    preset: str,
    ratio: str | None,
    config: str | None,
    changes: tuple[str, ...],
    seed: int,
    as_json: bool,
    work_dir: str,
) -> None:
    """Train a model on curated rows: on their answers, by TRL, from an adapter to every weight.

    Before it begins it says how many rows, tokens and steps there are and what they need, and shows one row token by
    token with what is learnt. Rows that can't be learnt from are listed. The same command after a crash goes on.

    On several GPUs: accelerate launch $(which curate) train-sft ...
    """
    from curate.cli.console import Screen
    from curate.cli.training import ratio_of, shown_on, tell
    from curate.models.defaults import SFT, SFT_NEEDS
    from curate.training.data import usual_files
    from curate.training.settings import load_settings
    from curate.training.sft import train_sft

    screen = Screen()
    settings = load_settings(preset, config, changes)
    files = list(data) or usual_files()
    if model is None:
        model = SFT
        screen.notice(f"model: {model}, the default; it needs {SFT_NEEDS}")
    with screen.working() as working:
        done = train_sft(
            files,
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
