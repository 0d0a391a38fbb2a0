"""What is learnt of a row: the answers and the token that ends each, whatever template writes them."""

from pathlib import Path
from typing import Any

import pytest

from curate.errors import InputError, StoppedError
from curate.pool import read_pool
from curate.records import UnreadableRecord
from curate.training.settings import SftSettings
from curate.training.templates import give_template
from curate.training.tokens import UNLEARNT, Tokens, shown, tokenised, tokens_of
from tests.conftest import write_rows
from tests.real_models.small_models import CHATML

LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }} [/INST]"
    "{% else %} {{ m.content | trim }} <|im_end|>{% endif %}{% endfor %}"
)
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}"
    "<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ENDLESS = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
TALK = [("user", "Hi"), ("assistant", "Hello."), ("user", "소수 하나?"), ("assistant", "7입니다")]
HEAD = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"


@pytest.fixture
def tokenizer(small_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(small_model)


def turns(*said: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in said]


def told(tokenizer: Any, row: Tokens) -> str:
    """A row as text, what is learnt in ‹›."""
    text, before = "", False
    for piece, learnt in shown(tokenizer, row):
        text += "‹" * (learnt > before) + "›" * (learnt < before) + piece
        before = learnt
    return text + "›" * before


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (
            CHATML,
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n‹Hello.<|im_end|>›\n"
            "<|im_start|>user\n소수 하나?<|im_end|>\n<|im_start|>assistant\n‹7입니다<|im_end|>›\n",
        ),
        (LLAMA_2, "[INST] Hi [/INST]‹ Hello. <|im_end|>›[INST] 소수 하나? [/INST]‹ 7입니다 <|im_end|>›"),
        (
            THINKING,
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n‹Hello.<|im_end|>›\n"
            "<|im_start|>user\n소수 하나?<|im_end|>\n<|im_start|>assistant\n"
            "‹<think>\n\n</think>\n\n7입니다<|im_end|>›\n",
        ),
        (ENDLESS, "user: Hi\nassistant:‹ Hello.›\nuser: 소수 하나?\nassistant: ‹7입니다<|im_end|>›"),
        (
            None,
            HEAD + "### Instruction:\nHi\n\n### Response:\n‹Hello.<|im_end|>›\n\n"
            "### Instruction:\n소수 하나?\n\n### Response:\n‹7입니다<|im_end|>›\n\n",
        ),
    ],
)
def test_answers_and_what_ends_them_are_learnt(tokenizer: Any, template: str | None, wanted: str) -> None:
    tokenizer.chat_template = template
    give_template(tokenizer)
    row = tokenised(tokenizer, turns(*TALK), SftSettings())
    assert told(tokenizer, row) == wanted
    assert tokenizer.decode(row.ids) == wanted.replace("‹", "").replace("›", "")
    assert all(label in (UNLEARNT, token) for label, token in zip(row.labels, row.ids, strict=True))
    assert row.learnt == sum(label != UNLEARNT for label in row.labels)


def test_all_is_learnt_where_that_is_wanted_and_of_a_plain_text(tokenizer: Any) -> None:
    everything = tokenised(tokenizer, turns(*TALK), SftSettings(loss="all"))
    assert everything.labels == everything.ids
    assert told(tokenizer, tokenised(tokenizer, turns(("text", "Once.")), SftSettings())) == "‹Once.<|im_end|>›"


def test_a_long_row_is_dropped_cut_at_a_turn_or_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    short = len(tokenised(tokenizer, turns(*TALK[:2]), SftSettings()).ids)
    with pytest.raises(UnreadableRecord, match=f"tokens, more than max_length {short}"):
        tokenised(tokenizer, turns(*TALK), SftSettings(max_length=short))
    cut = tokenised(tokenizer, turns(*TALK), SftSettings(max_length=short, too_long="cut"))
    assert told(tokenizer, cut).endswith("assistant\n‹Hello.<|im_end|>›\n")
    with pytest.raises(UnreadableRecord, match="more than max_length 3"):
        tokenised(tokenizer, turns(*TALK), SftSettings(max_length=3, too_long="cut"))
    with pytest.raises(StoppedError, match="more than max_length 3"):
        tokenised(tokenizer, turns(*TALK), SftSettings(max_length=3, too_long="refuse"))


def test_what_can_not_be_learnt_from_is_listed_with_its_place(here: Path, tokenizer: Any) -> None:
    write_rows(
        here / "raw.jsonl",
        [
            {"instruction": "a?", "output": "b"},
            {"instruction": "no answer", "output": ""},
            {"messages": [{"role": "user", "content": "x"}]},
            {"prompt": "k?", "completion": "bad", "label": False},
            {"instruction": "long?", "output": "word " * 3000},
        ],
    )
    rows, left_out = tokens_of(read_pool(["raw.jsonl"], here / ".curate"), tokenizer, SftSettings())
    assert [row.row for row in rows] == [0]
    assert [each.place for each in left_out] == [f"raw.jsonl:{k}" for k in (2, 3, 4, 5)]
    assert [each.reason.partition(",")[0] for each in left_out[:3]] == [
        "there is no response to learn",
        "there is no response to learn",
        "its label says that the answer is not wanted",
    ]


def test_preferences_are_refused_with_what_to_do(here: Path, tokenizer: Any) -> None:
    write_rows(here / "raw.jsonl", [{"prompt": "a?", "chosen": "b", "rejected": "c"}])
    with pytest.raises(InputError, match="1 of 1 rows are preferences") as error:
        tokens_of(read_pool(["raw.jsonl"], here / ".curate"), tokenizer, SftSettings())
    assert error.value.remedy.startswith("train on the chosen ones: curate convert")
