"""`curate train-sft`."""

import click

from curate.cli.options import WORK_DIR, with_options


@click.command("train-sft")
@click.option("--data", multiple=True, metavar="FILE", help="Rows to train on (default: curated.jsonl, synth.jsonl).")
@click.option("--ratio", metavar="A:B", help="How rows of several --data stand to each other, as in 3:1.")
@click.option("--model", metavar="NAME", help="A folder, or OWNER/NAME on the hub; a small open one by default.")
@click.option("-o", "--output", default="model", show_default=True, help="The folder of the trained model.")
@click.option("--preset", default="lora-small", show_default=True, help="lora-small or lima.")
@click.option("--config", metavar="FILE", help="A YAML file of settings, over the preset.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting: epochs=1, trl.optim=sgd.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(WORK_DIR)
def command(
    data: tuple[str, ...],
    ratio: str | None,
    model: str | None,
    output: str,
    preset: str,
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
    import json
    from dataclasses import asdict

    from rich.text import Text

    from curate.cli.console import Screen
    from curate.cli.text import safe
    from curate.models.defaults import SFT, SFT_NEEDS
    from curate.training.data import usual_files
    from curate.training.settings import load_settings
    from curate.training.sft import is_first, train_sft

    screen = Screen()
    settings = load_settings(preset, config, changes)
    files = list(data) or usual_files()
    if model is None:
        model = SFT
        screen.notice(f"model: {model}, the default; it needs {SFT_NEEDS}")

    def show(tokens: list[tuple[str, bool]]) -> None:
        line = Text("one row, what is learnt in green: ")
        for k, (text, learnt) in enumerate(tokens):
            line.append(safe(text), style=f"{'green' if learnt else 'dim'}{' underline' if k % 2 else ''}")
        screen.console.print(line)

    with screen.working() as working:
        done = train_sft(
            files,
            output,
            model=model,
            settings=settings,
            ratio=_ratio(ratio),
            seed=seed,
            work_dir=work_dir,
            working=working,
            show=show,
        )
    if not is_first():
        return
    held = "" if done.held_out_loss is None else f", {done.held_out_loss:.3f} on held-out rows"
    took = f"{done.steps:,} steps in {done.seconds:,.0f} s"
    screen.notice(f"{took}: the loss came to {done.loss:.3f}{held} -> {done.output}")
    for before, after in zip(done.before, done.after, strict=True):
        for what, text in (("asked ", after.prompt), ("before", before.said), ("after ", after.said)):
            screen.notice(f"  {what}  {safe(text, 200)}")
    if as_json:
        click.echo(json.dumps(asdict(done) | {"output": str(done.output)}, ensure_ascii=False))


def _ratio(text: str | None) -> list[float]:
    try:
        shares = [float(share) for share in text.split(":")] if text else []
    except ValueError:
        shares = [-1.0]
    if any(share < 0 for share in shares) or (shares and not any(shares)):
        raise click.BadParameter(f"{text} is no ratio", param_hint="--ratio")
    return shares
