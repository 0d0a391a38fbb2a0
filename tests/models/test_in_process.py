"""What the backends within this process share."""

from typing import Any

import pytest
from jinja2 import TemplateError

from curate.errors import UsageError
from curate.models import Request, Turn, check_model, identity_of
from curate.models.in_process import check_name, likeliest, rendered


class WithoutSystem:
    """A tokenizer whose chat template refuses a system turn, as Gemma's of old does."""

    chat_template = "..."

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> str:
        if turns[0]["role"] == "system":
            raise TemplateError("System role not supported")
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in turns) + "<model>"


def test_a_system_turn_that_the_template_refuses_begins_the_user_turn() -> None:
    request = Request(turns=(Turn("system", "Judge."), Turn("user", "A row")), max_tokens=1, prefill="1")
    assert rendered(WithoutSystem(), request) == "<user>Judge.\n\nA row<model>1"


def test_tokens_that_read_alike_count_together() -> None:
    found = likeliest([("5", -1.0), ("4", -1.2), ("4", -1.2)])
    assert list(found) == ["4", "5"] and found["4"] == pytest.approx(-1.2 + 0.6931, abs=1e-3)


def test_other_weights_under_an_old_path_are_another_model(tmp_path: Any) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"a" * 300_000)
    before = identity_of(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"a" * 299_999 + b"b")
    assert identity_of(f"hf:{tmp_path}") != before


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_a_folder_that_is_not_there_is_said(name: str) -> None:
    check_model(f"hf:{name}")
    with pytest.raises(UsageError, match="there is no model folder"):
        check_name(name)
