"""Conversations that were written down as one text, taken apart again.

"### Instruction:\\nAdd 2 and 2.\\n\\n### Response:\\n4" is `user: Add 2 and 2.`, `assistant: 4`; so is
"\\n\\nHuman: Add 2 and 2.\\n\\nAssistant: 4".
"""

import re

from curate.records import Message, joined

SECTIONS = {
    "instruction": "user",
    "human": "user",
    "user": "user",
    "question": "user",
    "명령어": "user",
    "지시": "user",
    "지시문": "user",
    "질문": "user",
    "input": "input",
    "context": "input",
    "입력": "input",
    "response": "assistant",
    "output": "assistant",
    "assistant": "assistant",
    "answer": "assistant",
    "응답": "assistant",
    "출력": "assistant",
    "답변": "assistant",
    "system": "system",
    "시스템": "system",
}
"""Headings of sections (Alpaca's in English and Korean, Guanaco's), to whose words stand below."""

PREFACES = ("Below is an instruction that describes a task", "아래는 작업을 설명하는 ")
"""How Alpaca's template begins, which says nothing of the row."""

_HEADING = re.compile(rf"(?:^|\n|(?<=[^\s#]))### ?({'|'.join(SECTIONS)}) ?: ?\n?", re.IGNORECASE)
_SPEAKER = re.compile(r"(?:^\n*|\n\n)(Human|Assistant): ?")


def from_sections(text: str) -> tuple[tuple[Message, ...], str | None] | None:
    """The turns of a text with `###` headings, and the last one's input; None where it has no question and answer."""
    if "###" not in text:
        return None
    preface, *parts = _HEADING.split(text)
    messages: list[Message] = []
    given: str | None = None
    if preface.strip() and not preface.lstrip().startswith(PREFACES):
        messages.append(Message("system", preface.strip()))
    for heading, content in zip(parts[::2], parts[1::2], strict=True):
        role = SECTIONS[heading.lower()]
        if role != "input":
            messages.append(Message(role, content.strip()))
            given = None if role == "user" else given
        elif messages and messages[-1].role == "user":
            given = content.strip()
            messages[-1] = Message("user", joined([messages[-1].content, given]))
        else:
            return None
    spoken = [message.role for message in messages if message.role != "system"]
    return (tuple(messages), given) if spoken[:2] == ["user", "assistant"] else None


def from_transcript(text: str) -> tuple[Message, ...] | None:
    """The turns of a text of `Human:` and `Assistant:`, as in hh-rlhf; None where it is none."""
    before, *parts = _SPEAKER.split(text)
    if before or parts[:1] != ["Human"] or "Assistant" not in parts[2::2]:
        return None
    roles = {"Human": "user", "Assistant": "assistant"}
    return tuple(Message(roles[who], said.strip()) for who, said in zip(parts[::2], parts[1::2], strict=True))
