"""The card of a trained model: what it was trained on, how, and what it says."""

from pathlib import Path
from typing import TYPE_CHECKING

from curate import __version__
from curate.training.data import Prepared
from curate.training.opening import Opened
from curate.training.settings import SftSettings
from curate.whole import whole_file

if TYPE_CHECKING:
    from curate.training.sft import Trained


def write_card(path: Path, done: "Trained", opened: Opened, found: Prepared, settings: SftSettings, seed: int) -> None:
    """Write a Markdown card."""
    files = "\n".join(
        f"| {_cell(source.name)} | {facts['rows']:,} | `{source.digest}` |"
        for source, facts in zip(found.pool.sources, found.pool.facts["sources"], strict=True)
    )
    chosen = "\n".join(f"| {name} | {_cell(str(value))} |" for name, value in settings.as_dict().items())
    held = "" if done.held_out_loss is None else f", {done.held_out_loss:.3f} on held-out rows"
    samples = "\n".join(
        f"**{_cell(a.prompt[:300])}**\n\n- before: {_cell(b.said)}\n- after: {_cell(a.said)}\n"
        for b, a in zip(done.before, done.after, strict=True)
    )
    text = f"""# {done.output.name}

{_cell(opened.name)}, fine-tuned by curate {__version__} on {done.rows:,} rows ({done.tokens:,} tokens) in
{done.steps:,} steps; the loss came to {done.loss:.3f} nats a token{held}. Seed {seed}.
{len(found.left_out):,} rows were left out: `left_out.jsonl` says why.
`log.jsonl` has the loss of every step, `curate.json` all of this for programs.

| data | rows | xxh3 of its bytes |
| --- | ---: | --- |
{files}

| setting | value |
| --- | --- |
{chosen}

## Before and after

{samples}"""
    with whole_file(path) as file:
        file.write(text.encode("utf-8", "replace"))


def _cell(text: str) -> str:
    """Text that stays within a line of a table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
