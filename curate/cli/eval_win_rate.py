"""`curate eval win-rate`."""

import click

from curate.cli.options import MODEL_OPTIONS, WORK_DIR, with_options


@click.command("win-rate")
@click.argument("a")
@click.argument("b")
@click.option(
    "--prompts", required=True, metavar="FILE", help="What both answer; a field `category` splits the result."
)
@click.option("--judge", required=True, metavar="MODEL", help="Says which answer is better, in both orders.")
@click.option("--rubric", default="better-answer", show_default=True, metavar="NAME|FILE", help="A pairwise one.")
@click.option("--language", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="Of the rubric.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance.")
@click.option("-o", "--output", default="win_rate.jsonl", show_default=True, help="Every pair with its verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(MODEL_OPTIONS, WORK_DIR)
def command(
    a: str,
    b: str,
    prompts: str,
    judge: str,
    rubric: str,
    language: str,
    seed: int,
    output: str,
    as_json: bool,
    budget: float | None,
    max_tokens: int | None,
    work_dir: str,
) -> None:
    """How often the answers of model A are better than those of B; where the judge's two orders differ, it is a tie.

    A and B are vllm:NAME_OR_PATH, http://HOST:PORT/v1#NAME or hf:NAME_OR_PATH, or a file with answers, row by row.
    """
    from curate.cli.console import Screen
    from curate.cli.settings import spending
    from curate.cli.text import safe
    from curate.evaluating.win_rate import win_rate

    screen = Screen()
    with screen.working(spending=spending(budget, max_tokens)) as working:
        done = win_rate(
            a,
            b,
            prompts,
            judge=judge,
            rubric=rubric,
            language=language,
            seed=seed,
            output=output,
            work_dir=work_dir,
            working=working,
        )
    for name, rates in {"all": done.all, **done.categories}.items():
        won, tied, lost = (each.value or 0.0 for each in (rates.wins, rates.ties, rates.losses))
        bar = "█" * round(30 * won) + "░" * round(30 * tied)
        screen.notice(f"{safe(name, 20):<20} {bar:<30} wins {won:.0%}, ties {tied:.0%}, loses {lost:.0%}")
    points, controlled = done.all.points, done.all.length_controlled
    screen.notice(
        f"A gets {points.value:.1%} of the points ({points.low:.1%} to {points.high:.1%}), a tie being half a win"
    )
    screen.notice(
        f"at like length {controlled.value:.1%} ({controlled.low:.1%} to {controlled.high:.1%}); answers have "
        f"{done.characters[0]:,.0f} and {done.characters[1]:,.0f} characters"
    )
    screen.notice(f"the judge changed its mind in {done.flipped:.0%} of the pairs once they were swapped")
    for cause, count in done.unscored.items():
        screen.notice(f"  without a verdict {count:,}: {safe(cause, 100)}")
    screen.notice(f"every pair with its verdict -> {done.output}")
    if as_json:
        from dataclasses import asdict

        import orjson

        click.echo(orjson.dumps(asdict(done), default=str).decode())
