"""The data card beside a curated set: sources, recipe, counts and hashes, so that it can be made again.

`curated.jsonl` gets `curated.card.md`.
"""

from pathlib import Path

import yaml

from curate.formats.sources import digest_of
from curate.ledger import RunDirectory
from curate.pool import Pool
from curate.whole import whole_file


def card_path(output: Path) -> Path:
    """`curated.jsonl.gz` has the card `curated.card.md`."""
    return output.with_name(f"{output.name.partition('.')[0]}.card.md")


def write_card(output: Path, run: RunDirectory, pool: Pool) -> None:
    """Write the card of `output`, which `run` made of `pool`."""
    facts = run.read_facts()
    summary = facts["summary"]
    sources = "\n".join(
        f"| `{_cell(source['name'])}` | {found['rows']:,} | {', '.join(sorted(found['shapes']))} "
        f"| {source['stamp'][0]:,} | `{source['digest']}` |"
        for source, found in zip(facts["inputs"], pool.facts["sources"], strict=True)
    )
    steps = "\n".join(
        f"| {s['step']} | {s['filter']} | {s['reached']:,} | {s['dropped']:,} | {s['unscored']:,} |"
        for s in summary["by_step"]
    )
    recipe = yaml.safe_dump(facts["recipe"], sort_keys=False, allow_unicode=True)
    text = f"""# {output.name}

{summary["kept"]:,} rows chosen from {summary["rows_in"]:,} by curate {facts["version"]}.
Run `{facts["name"]}`, started {facts["started"]}.

## Sources

| file | rows | shape | bytes | xxh3-128 |
| --- | --- | --- | --- | --- |
{sources}

Licence of the sources: not recorded in the files; state it here before you publish this set.

## What was dropped

{summary["records"]:,} records: {summary["rejected"]:,} could not be read, {summary["rows_in"]:,} rows read,
{summary["kept"]:,} kept, {summary["dropped"]:,} dropped.

| step | filter | rows reached | dropped | unscored |
| --- | --- | --- | --- | --- |
{steps}

## How to make it again

Seed {facts["seed"]}, pool `{facts["pool"]}`, output xxh3-128 `{digest_of(output)}`.
The recipe, every default spelled out:

```yaml
{recipe}```
"""
    with whole_file(card_path(output)) as file:
        file.write(text.encode())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'").replace("\n", " ")
