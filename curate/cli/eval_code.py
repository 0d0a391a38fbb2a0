"""`curate eval code`."""

import click

from curate.cli.options import MODEL_OPTIONS, WORK_DIR, with_options


@click.command("code")
@click.argument("model")
@click.option(
    "--problems", default="humaneval", show_default=True, metavar="NAME|FILE", help="humaneval, mbpp, a file."
)
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Answers to each; one is greedy.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance.")
@click.option("-o", "--output", default="eval_code.jsonl", show_default=True, help="Every program with its verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(MODEL_OPTIONS, WORK_DIR)
def command(
    model: str,
    problems: str,
    samples: int,
    seed: int,
    output: str,
    as_json: bool,
    budget: float | None,
    max_tokens: int | None,
    work_dir: str,
) -> None:
    """pass@k of a model on programming problems: its answers run against their tests, in the sandbox.

    MODEL is vllm:NAME_OR_PATH, http://HOST:PORT/v1#NAME or hf:NAME_OR_PATH, as in hf:model for what train-sft left.
    """
    from curate.cli.console import Screen
    from curate.cli.settings import spending
    from curate.cli.text import safe
    from curate.evaluating.code import evaluate_code
    from curate.evaluating.problems import load_problems

    screen = Screen()
    found = load_problems(problems)
    with screen.working(spending=spending(budget, max_tokens)) as working:
        done = evaluate_code(
            model, found, samples=samples, seed=seed, output=output, work_dir=work_dir, working=working
        )
    for k, each in done.passed.items():
        screen.notice(f"pass@{k} {each.value:.1%} ({each.low:.1%} to {each.high:.1%}) of {done.problems:,} problems")
    for cause, count in list(done.causes.items())[:5]:
        screen.notice(f"  {count:>6,}  {safe(cause, 100)}")
    if done.unanswered:
        screen.notice(f"  {done.unanswered:,} answers never came; the same command asks for them again")
    screen.notice(f"every program with its verdict -> {done.output}")
    if as_json:
        from dataclasses import asdict

        import orjson

        click.echo(orjson.dumps(asdict(done), default=str, option=orjson.OPT_NON_STR_KEYS).decode())
