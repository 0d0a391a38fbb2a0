"""`curate why`."""

from typing import Any

import click

from curate.cli.options import WORK_DIR, with_options


@click.command("why", context_settings={"ignore_unknown_options": True})  # a row of standard input is -:42
@click.argument("row")
@click.option("--run", "run_name", metavar="NAME", help="Which run (default: the last that finished).")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
@with_options(WORK_DIR)
def command(row: str, run_name: str | None, as_json: bool, work_dir: str) -> None:
    """Say why a row went or stayed: every step's measures, threshold and verdict, and the rival.

    ROW is FILE:LINE, row:N or an id; all rows that match are explained.
    """
    from pathlib import Path

    from curate.explaining import explain
    from curate.ledger import find_run

    run = find_run(Path(work_dir), run_name)
    explanations = explain(run, Path(work_dir), row)
    if as_json:
        import dataclasses

        import orjson

        click.echo(orjson.dumps([dataclasses.asdict(e) for e in explanations]).decode())
        return
    for explanation in explanations:
        _show(explanation, run.name)


def _show(explanation: Any, run: str) -> None:
    from rich.text import Text

    from curate.cli.console import stdout
    from curate.cli.text import safe

    console = stdout()
    fate = ("kept", "bold green") if explanation.kept else ("dropped", "bold red")
    console.print(Text.assemble((safe(explanation.place), "bold"), "  ", fate, f" in run {run}"), soft_wrap=True)
    console.print(Text(f"  row       row:{explanation.row}, id {explanation.id}"))
    console.print(Text(f"  prompt    {safe(explanation.prompt)}"))
    console.print(Text(f"  response  {safe(explanation.response) if explanation.response is not None else '(none)'}"))
    for step in explanation.steps:
        style = {"drop": "red", "unscored": "yellow"}.get(step.verdict, "green")
        note = "" if step.alive or step.step == "restore" else "  (was gone already)"
        console.print(Text(f"{step.step}: "), Text(step.verdict, style=style), Text(note, style="dim"), sep="")
        if step.reason:
            console.print(Text(f"  {safe(step.reason)}"))
        if step.measures:
            console.print(Text("  measured  " + ", ".join(f"{k} {_value(v)}" for k, v in step.measures.items())))
        if step.threshold is not None or step.margin is not None:
            numbers = {"value": step.value, "threshold": step.threshold, "margin": step.margin}
            shown = ", ".join(f"{name} {value:g}" for name, value in numbers.items() if value is not None)
            console.print(Text(f"  decided   {shown}"))
        if step.evidence:
            console.print(Text(f"  evidence  {safe(step.evidence, 400)}"))
        if step.rival:
            _show_rival(console, step.rival)


def _value(value: Any) -> str:
    from curate.cli.text import safe

    if value is None:
        return "absent"
    return f"{value:g}" if isinstance(value, float) else safe(str(value), 60)


def _show_rival(console: Any, rival: Any) -> None:
    from rich.text import Text

    from curate.cli.text import safe

    console.print(Text(f"  rival     {safe(rival.name)} at {safe(rival.place)}"))
    if all(sign == " " for sign, _ in rival.diff):
        console.print(Text(f"    the same text: {safe(rival.prompt, 100)}"))
        return
    line = Text("    ")
    for sign, text in rival.diff:
        if sign == " ":
            shown = text if len(text) < 60 else f"{text[:25]} … {text[-25:]}"
            line.append(safe(shown))
        else:  # marks as well as colour: a pipe has no colour
            line.append(f"[{sign}{safe(text)}{sign}]", style="red" if sign == "-" else "green")
    console.print(line, soft_wrap=True)
    console.print(Text("    [-only here-] [+only in the rival+]", style="dim"))
