"""What a judge reads of a row: its texts, long ones cut in the middle where all can see it, special tokens broken up.

A prompt of 20,000 characters becomes its first and last part around `[... 14,000 characters left out here ...]`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

LEFT_OUT = "\n[... {:,} characters left out here ...]\n"

SPECIAL = re.compile(
    r"""
    [<＜\[] (?= [|｜] [^\s<>＜＞|｜]{1,60} [|｜] [>＞\]] )      # <|im_end|> <|eot_id|> <｜User｜> [|endofturn|]
    | [<＜] (?= /? (?: \w+_\w+ | s | unk | pad | bos | eos | mask | think | reponame | filename | unused\d+ ) [>＞] )
    | [<＜] (?= [<＜] /? SYS [>＞] )                          # <<SYS>>
    | \[ (?= /? (?: INST | IMG | BOS | EOS | PAD | UNK | CLS | SEP | MASK | [A-Z]+_[A-Z_]+ ) \] )  # [/INST]
    | \] (?= ~!?b[\[\]] ) | \[ (?= e~\[ )                   # ]~b] [e~[
    """,
    re.VERBOSE,
)
"""How what is special to a tokenizer begins: in ChatML, Llama, Mistral, Gemma, Phi, DeepSeek, EXAONE and their like."""


def texts_of(row: Mapping[str, Any], pairwise: bool, most: int) -> tuple[dict[str, str], bool, str]:
    """Prompt and response, or prompt and the two answers of a pair; whether they were cut to `most`; or a problem.

    Text such as `<|im_end|>` comes out as `< |im_end|>`: a tokenizer would make of it the token that ends a turn, and
    the row could then speak as the system or as the judge. That is done here since only before the chat template one
    can tell the row from the frame, and since a server tokenizes out of our sight. A model whose tokens are of a shape
    that SPECIAL does not know is not covered.
    """
    if not pairwise:
        if not (row["response"] or "").strip():
            return {}, False, "there is no response to judge"
        asked = _conversation(row["messages"], row["prompt"])
        return *_shown({"prompt": asked, "response": row["response"]}, most), ""
    if not row["chosen"] or not row["rejected"]:
        return {}, False, "a pairwise rubric needs a chosen and a rejected answer"
    texts = {"prompt": row["prompt"], "first": _answer(row["chosen"]), "second": _answer(row["rejected"])}
    return *_shown(texts, most), ""


def _shown(texts: Mapping[str, str], most: int) -> tuple[dict[str, str], bool]:
    short, cut = shortened(texts, most)
    return {name: SPECIAL.sub(r"\g<0> ", text) for name, text in short.items()}, cut


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
