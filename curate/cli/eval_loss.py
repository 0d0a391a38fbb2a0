"""`curate eval loss`."""

import click

from curate.cli.options import WORK_DIR, with_options


@click.command("loss")
@click.argument("model")
@click.option("--data", multiple=True, required=True, metavar="FILE", help="Rows that the model was not trained on.")
@click.option("--max-length", type=click.IntRange(2), help="Longer rows are left out (default: what the model takes).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(WORK_DIR)
def command(model: str, data: tuple[str, ...], max_length: int | None, seed: int, as_json: bool, work_dir: str) -> None:
    """Loss and perplexity of a model on the responses of a file, each after its prompt.

    MODEL is hf:NAME_OR_PATH or vllm:NAME_OR_PATH, as in hf:model for what train-sft left.
    """
    from curate.cli.console import Screen
    from curate.cli.text import safe
    from curate.evaluating.loss import evaluate_loss

    screen = Screen()
    with screen.working() as working:
        done = evaluate_loss(model, data, max_length=max_length, seed=seed, work_dir=work_dir, working=working)
    for name, each in (("loss", done.loss), ("perplexity", done.perplexity)):
        screen.notice(f"{name} {each.value:.4f} ({each.low:.4f} to {each.high:.4f})")
    screen.notice(f"over {done.tokens:,} tokens of {done.rows:,} rows; {len(done.left_out):,} rows were left out")
    for row in done.left_out[:3]:
        screen.notice(f"  {safe(row.place)}  {safe(row.reason, 100)}")
    if as_json:
        from dataclasses import asdict

        import orjson

        told = asdict(done) | {"left_out": [row._asdict() for row in done.left_out]}
        click.echo(orjson.dumps(told).decode())
