"""The card of a trained model: what it was trained on, how, and what it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate import __version__
from curate.training.data import Prepared
from curate.whole import whole_file

KINDS = {"sft": "supervised fine-tuning", "dpo": "direct preference optimization"}


def write_card(path: Path, facts: Mapping[str, Any], found: Prepared) -> None:
    """Write a Markdown card from what `curate.json` will hold."""
    done = facts["trained"]
    files = "\n".join(
        f"| {_cell(source.name)} | {told['rows']:,} | `{source.digest}` |"
        for source, told in zip(found.pool.sources, found.pool.facts["sources"], strict=True)
    )
    chosen = "\n".join(f"| {name} | {_cell(str(value))} |" for name, value in facts["settings"].items())
    measures = "\n".join(f"| {name} | {value:.4g} |" for name, value in done["measures"].items())
    samples = "\n".join(
        f"**{_cell(a['prompt'][:300])}**\n\n- before: {_cell(b['said'])}\n- after: {_cell(a['said'])}\n"
        for b, a in zip(done["before"], done["after"], strict=True)
    )
    text = f"""# {Path(done["output"]).name}

{_cell(facts["model"])}, {KINDS[facts["stage"]]} by curate {__version__} on {done["rows"]:,} rows
({done["tokens"]:,} tokens) in {done["steps"]:,} steps, seed {facts["seed"]}.
{len(found.left_out):,} rows were left out: `left_out.jsonl` says why.
`log.jsonl` has the measures of every step, `curate.json` all of this for programs.

| data | rows | xxh3 of its bytes |
| --- | ---: | --- |
{files}

| measure | at the end |
| --- | ---: |
{measures}

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
