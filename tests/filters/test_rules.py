"""What all rules that look at one row have in common: nothing but the row counts, and good rows stay."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import SAMPLE, Filtered, write_rows

from curate.pool import Pool, read_pool
from curate.recipe import load_recipe
from curate.registry import filter_names, load_filter

RULES = [name for name in filter_names() if getattr(load_filter(name), "per_row", False)]
WHITE = ["\n{}\n\n", "  {}", "{} \t", "{}\n \n"]
WORST = {
    "one letter": "a",
    "spaces": " ",
    "line breaks": "\n",
    "no spaces": "가나다라마바사아자차카타파하",
    "zeros": "0",
    "sums": "1+1=3 ",
    "open brackets": "(",
    "equals": "1=",
    "powers": "9^",
    "at signs": "a@",
    "dots": "a.b@c.",
    "tokens": "eyJ",
    "urls": "://a:",
    "fences": "```python\n",
    "json": "```json\n{",
    "headings": "### Instruction: x\n",
    "other rows": "Task: abcdef\n\n",
    "inputs": ". Input: ",
    "quotes": '"<|end|>',
    "slots": "{{ a ",
    "this image": "in the following ",
    "Korean image": "첨부된 ",
    "sorry": "I'm sorry, but ",
    "as a model": "as an a a ",
    "죄송": "죄송하지만 저는 ",
    "escapes": "\x00\x1b\u202e",
    "emoji": "👩‍👩‍👧‍👦",
    "cards": "4539 1488 ",
    "phones": "010-2345-",
    "keys": "-----BEGIN RSA PRIVATE KEY-----",
    "aws": "aws'",
}


def verdicts(rule: str, pool: Pool, batches: Callable[[pl.DataFrame], list[pl.DataFrame]]) -> dict[int, Any]:
    """Verdict and reason of each row, measured in these batches."""
    step = _prepared(rule, pool)
    wanted = ["row", *_reads(step)]
    rows = pl.concat(pool.batches(wanted)).select(wanted)
    parts = batches(rows)
    measured = [
        pl.concat([part.select("row"), step.measure(part).drop("row", strict=False)], how="horizontal")
        for part in parts
    ]
    measures = pl.concat(measured)
    decided = step.decide(measures, pool)
    if "reason" not in decided.columns:  # nothing was found
        decided = decided.with_columns(reason=pl.lit(None, dtype=pl.String))
    return dict(zip(measures["row"], decided.select("verdict", "reason").rows(), strict=True))


def _prepared(rule: str, pool: Pool) -> Any:
    step: Any = load_filter(rule)()
    return step.prepare(pool) if hasattr(step, "prepare") else step


def _reads(step: Any) -> tuple[str, ...]:
    return getattr(step, "reads", ("response",))


@pytest.fixture(scope="module")
def sample_pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return read_pool([str(SAMPLE)], tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("rule", RULES)
def test_neither_the_batch_nor_the_order_of_rows_counts(rule: str, sample_pool: Pool) -> None:
    whole = verdicts(rule, sample_pool, lambda rows: [rows])
    assert verdicts(rule, sample_pool, lambda rows: [rows[n : n + 7] for n in range(0, len(rows), 7)]) == whole
    assert verdicts(rule, sample_pool, lambda rows: [rows.reverse()]) == whole


@pytest.mark.parametrize("rule", RULES)
def test_white_space_around_texts_changes_no_verdict(rule: str, tmp_path: Path, sample_pool: Pool) -> None:
    plain = verdicts(rule, sample_pool, lambda rows: [rows])
    records = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    write_rows(tmp_path / "wide.jsonl", [_wide(record, WHITE[n % len(WHITE)]) for n, record in enumerate(records)])
    wide = verdicts(rule, read_pool([str(tmp_path / "wide.jsonl")], tmp_path), lambda rows: [rows])
    assert {row: verdict for row, (verdict, _) in wide.items()} == {row: verdict for row, (verdict, _) in plain.items()}


def _wide(record: dict[str, Any], around: str) -> dict[str, Any]:
    fields = ("instruction", "output")
    wide = {name: around.format(value) if name in fields else value for name, value in record.items()}
    turns = [{**turn, "content": around.format(turn["content"])} for turn in record.get("messages", [])]
    return wide | ({"messages": turns} if turns else {})


@pytest.mark.parametrize("rule", RULES)
def test_a_million_characters_of_the_worst_take_time_in_proportion(rule: str, here: Path, sample_pool: Pool) -> None:
    step = _prepared(rule, sample_pool)

    def seconds(text: str, size: int) -> float:
        text = (text * (size // len(text) + 1))[:size]
        message = [{"role": role, "content": text, "extra": None} for role in ("user", "assistant")]
        row = pl.DataFrame({"row": [0], "prompt": [text], "response": [text], "messages": [message], "meta": ["{}"]})
        began = time.process_time()
        step.measure(row.select("row", *_reads(step)).with_columns(pl.col("row").cast(pl.UInt64)))
        return time.process_time() - began

    seconds("warm ", 10_000)
    slow = {}
    for name, text in WORST.items():
        took = seconds(text, 1_000_000)
        if took > 0.8 and took > 8 * seconds(text, 250_000):
            slow[name] = took
        assert took < 5, f"{name}: {took:.1f} s"
    assert slow == {}


TOLD_BY = {
    "na-response": "broken",
    "template-remains": "broken",
    "echo": "broken",
    "cut-off": "broken",
    "merged-input": "broken",
    "refusal": "refusal",
    "unseen": "unseen",
    "repetition": "repetition",
    "wrong-arithmetic": "arithmetic",
    "wrong-language": "language",
    "code-syntax": "code-syntax",
    "secrets": "secrets",
    "pii": "pii",
    "empty-turn": "turns",
    "roles-out-of-order": "turns",
}
NOT_TOLD = {
    "merged-input": 2,  # on a line of its own, as many prompts are laid out
    "na-response": 2,  # "None" may be the answer
    "echo": 1,  # goes on with other words
    "unseen": 1,  # in the second turn
    "repetition": 3,  # fewer than 120 bytes, or other numbers before the same words
    "code-syntax": 2,  # SQL and JavaScript
    "secrets": 4,  # EXAMPLE stands in them
    "pii": 2,  # at example.com
}
"""Rows of the sample that a rule leaves, by kind."""


def test_the_kinds_of_bad_rows_in_the_sample_are_told_and_good_rows_stay(here: Path, filtered: Filtered) -> None:
    records = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    ledger = filtered(records, *dict.fromkeys(TOLD_BY.values())).ledger
    dropped = set(ledger.filter(pl.col("verdict") == "drop").select("row", "step").rows())
    notes = [(row, record["note"]) for row, record in enumerate(records)]
    missed = Counter(note for row, note in notes if note in TOLD_BY and (row, TOLD_BY[note]) not in dropped)
    good = {row for row, note in notes if note in ("good", "mediocre")}
    assert missed == NOT_TOLD
    assert not [(row, step) for row, step in dropped if row in good]


@pytest.mark.parametrize(
    "pool", ["self_instruct/seed_tasks.jsonl", "alpaca_dolly3k/dolly_3k.jsonl", "ko_chatbot/ChatbotData.jsonl"]
)
def test_the_default_recipe_keeps_what_people_wrote_with_care(
    pool: str, here: Path, real_data: Path, filtered: Filtered
) -> None:
    lines = dict.fromkeys((real_data / pool).read_text().splitlines())
    steps = [step for step in load_recipe("default").steps if step.filter_name != "exact-dup"]
    recipe = [{step.filter_name: {"min_chars": 1} if step.filter_name == "length" else {}} for step in steps]
    (here / "raw.jsonl").write_text("\n".join(lines))
    summary = filtered(None, *recipe).summary
    assert summary.kept >= 0.97 * summary.rows_in
    assert summary.rows_in > 170
