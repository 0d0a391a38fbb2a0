"""ifd without torch: who is refused, and what a loss that is none becomes. Real models: tests/real_models."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from conftest import Command, Filtered, write_rows

from curate.errors import StoppedError
from curate.models import opening
from curate.models.likelihood import Passage
from curate.spending import Spending
from curate.working import Working


class Faulty:
    """A model whose loss is NaN on `?!`, 0 alone on `zero`, else 1 nat after a prompt and 2 alone."""

    longest = 100

    class tokenizer:
        chat_template = None

        def __new__(cls, text: str, **_: Any) -> Any:
            return {"input_ids": [1] * text.startswith("Q") + list(text.encode())}

    def losses(self, passages: Sequence[Passage]) -> Iterator[tuple[int, list[float]]]:
        for k, passage in enumerate(passages):
            text, alone = bytes(passage.tokens), passage.tokens[0] != 1
            said = float("nan") if b"?!" in text else 0.0 if b"zero" in text and alone else 1.0 + alone
            yield k, [said] * len(passage.spans)

    def close(self) -> None: ...


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(opening._opened, "hf:faulty", Faulty())  # type: ignore[arg-type]
    return "hf:faulty"


def test_without_a_model_the_ways_to_get_one_are_said(here: Any, cli: Command) -> None:
    write_rows(here / "raw.jsonl", [("Name a prime.", "Seven.")])
    for model in ("", "http://localhost:8000/v1#m"):
        named = ("--set", f"ifd.model={model}") if model else ()
        said = cli("filter", "raw.jsonl", "--recipe", "superfiltering", *named, status=2).err
        assert "hf:NAME_OR_PATH" in said and "vllm:NAME_OR_PATH" in said
    assert not (here / "curated.jsonl").exists()


def test_a_loss_that_is_none_is_unscored_and_never_a_number(faulty: str, filtered: Filtered) -> None:
    rows = [("Q1", "fine"), ("Q2", "what?!"), ("Q3", "zero"), ("Q4", "x" * 200), ("Q5", "")]
    result = filtered(rows, {"ifd": {"model": faulty}})
    said = dict(result.ledger.filter(verdict="unscored").select("row", "reason").iter_rows())
    assert said == {
        1: "the model's loss is not a number",
        2: "the response alone has no loss: there is nothing to compare with",
        3: "205 tokens are over the model's 100",
        4: "there is no response",
    }
    assert result.summary.kept == 5 and result.summary.unscored == 4  # kept, as `unscored` says by default
    best = filtered(rows, {"ifd": {"model": faulty, "n": 3}})
    assert best.kept["row"].to_list() == [0]  # what has no number never takes a place


def test_a_row_without_an_instruction_stays_but_takes_no_place(faulty: str, filtered: Filtered) -> None:
    rows = [{"text": "plain"}, {"instruction": "Q", "output": "fine"}, {"instruction": "", "output": "to nothing"}]
    for below in (1.0, None):
        assert filtered(rows, {"ifd": {"model": faulty, "below": below}}).summary.kept == 3
    chosen = filtered(rows, {"ifd": {"model": faulty, "n": 2}})
    assert chosen.kept["row"].to_list() == [1]
    assert set(chosen.dropped["reason"]) == {"there is no instruction whose help could be measured"}
    assert "only 1 rows have a ratio below the bar: all of them are kept" in chosen.summary.by_step[0].notes


def test_a_spent_budget_stops_and_the_same_command_goes_on(faulty: str, filtered: Filtered) -> None:
    rows = [(f"Q{k}", "fine") for k in range(20)]
    with pytest.raises(StoppedError, match="--max-tokens"):
        filtered(rows, {"ifd": {"model": faulty}}, working=Working(spending=Spending(max_tokens=150)))
    result = filtered(rows, {"ifd": {"model": faulty}})
    assert result.summary.kept == 20 and 0 < result.summary.by_step[0].measured < 20


@pytest.mark.parametrize("wrong", [{"n": 0}, {"share": 1.5}, {"n": 5, "share": 0.5}])
def test_a_choice_that_can_not_be_is_refused(wrong: dict[str, Any], faulty: str, filtered: Filtered) -> None:
    with pytest.raises(Exception, match=r"n must be|share must be|one of n and share"):
        filtered([("Q", "fine")], {"ifd": {"model": faulty, **wrong}})
