"""What a judge reads of a row: its texts, long ones cut in the middle where all can see it.

A prompt of 20,000 characters becomes its first and last part around `[... 14,000 characters left out here ...]`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

LEFT_OUT = "\n[... {:,} characters left out here ...]\n"


def texts_of(row: Mapping[str, Any], pairwise: bool, most: int) -> tuple[dict[str, str], bool, str]:
    """Prompt and response, or prompt and the two answers of a pair; whether they were cut to `most`; or a problem."""
    if not pairwise:
        if row["response"] is None:
            return {}, False, "there is no response to judge"
        asked = _conversation(row["messages"], row["prompt"])
        return *shortened({"prompt": asked, "response": row["response"]}, most), ""
    if not row["chosen"] or not row["rejected"]:
        return {}, False, "a pairwise rubric needs a chosen and a rejected answer"
    texts = {"prompt": row["prompt"], "first": _answer(row["chosen"]), "second": _answer(row["rejected"])}
    return *shortened(texts, most), ""


def _conversation(messages: Sequence[Mapping[str, Any]], prompt: str) -> str:
    """The turns before the last answer, each under its role; a single question stands alone."""
    before = [k for k, turn in enumerate(messages) if turn["role"] == "assistant"]
    turns = messages[: before[-1]] if before else messages
    if len(turns) <= 1:
        return prompt
    return "\n\n".join(f"<{turn['role']}>\n{turn['content']}" for turn in turns)


def _answer(turns: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(str(turn["content"]) for turn in turns)


def shortened(texts: Mapping[str, str], most: int) -> tuple[dict[str, str], bool]:
    """The texts, together at most about `most` characters, and whether one was cut; the longest are cut first."""
    room = allowed = most
    for position, size in enumerate(sorted(map(len, texts.values()))):
        allowed = room // (len(texts) - position)
        room -= min(size, allowed)
    cut = {name: _without_middle(text, allowed) for name, text in texts.items()}
    return cut, any(len(text) > allowed for text in texts.values())


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: most // 2] + LEFT_OUT.format(len(text) - most) + text[len(text) - (most - most // 2) :]
