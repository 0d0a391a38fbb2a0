"""One training example: its turns, its identity, and the JSON it was read from.

`parse(b'{"n": 1.50}')` keeps every number as it was written; `content_id(row)` names a row by what it says.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import xxhash

MAX_DEPTH = 200
MAX_CAUSE = 1000


class Message(NamedTuple):
    """One turn. `role`: system, user, assistant, tool or text; `extra`: JSON of all else the turn carries, or None."""

    role: str
    content: str
    extra: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One training example as read from a record; `input` is what followed an Alpaca instruction, if anything."""

    shape: str
    messages: tuple[Message, ...]
    chosen: tuple[Message, ...] | None = None
    rejected: tuple[Message, ...] | None = None
    label: bool | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    input: str | None = None


class UnreadableRecord(ValueError):
    """A record of which no row can be made; the text is the cause, as people read it in `rejected.jsonl`."""

    def __init__(self, cause: str) -> None:
        # it may quote a name out of the record, which may be as long as the record, and no text
        super().__init__(cause[:MAX_CAUSE].encode("utf-8", "backslashreplace").decode())


def parse(line: bytes) -> Any:
    """The JSON value of one record, with every number kept as it was written.

    Raises UnreadableRecord on what JSON forbids and on what would be lost in silence: a field that comes twice,
    NaN, half a surrogate pair, nesting deeper than 200.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = line[error.start]
        raise UnreadableRecord(f"byte {error.start + 1} (0x{byte:02x}) is not UTF-8; save the file as UTF-8") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise UnreadableRecord(f"nested deeper than {MAX_DEPTH} levels")
    try:
        return _decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise UnreadableRecord("the JSON ends too early; the line was cut off") from None
        if text.startswith("\ufeff"):
            raise UnreadableRecord(
                "a byte-order mark before the record, as where files were joined; remove it"
            ) from None
        if error.msg == "Extra data" and text[: error.pos].endswith("\r"):
            raise UnreadableRecord("lines end in CR alone; turn them into LF: tr '\\r' '\\n'") from None
        raise UnreadableRecord(f"not JSON: {_plain_words(error.msg)} at character {error.pos + 1}") from None


def _plain_words(message: str) -> str:
    return message[0].lower() + message[1:].removesuffix(" at")


_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{\]}]', re.DOTALL)


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if found[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableRecord(f"field {twice} comes twice; which one is meant?")
    return fields


def _number(text: str) -> Any:
    return orjson.Fragment(text)


def _constant(text: str) -> Any:
    raise UnreadableRecord(f"{text} is not JSON; write null or a number")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_number, parse_constant=_constant
).decode


def to_json(value: Any) -> str:
    """`value` as compact JSON, numbers as they were written. Raises UnreadableRecord on half a surrogate pair."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # orjson's only complaint about what `parse` returns
        if "surrogate" in str(error):
            raise UnreadableRecord("half a surrogate pair (such as \\ud83d) is not text") from None
        raise


def joined(parts: list[str]) -> str:
    """Texts with a blank line between them, empty ones left out."""
    return "\n\n".join(part for part in parts if part)


def prompt_and_response(messages: tuple[Message, ...]) -> tuple[str | None, str | None]:
    """Contents before the last assistant turn, joined by a blank line, and that turn (None: there is none).

    The prompt of a plain text is None, its response the text.
    """
    if messages[0].role == "text":
        return None, messages[0].content
    last = next((k for k in range(len(messages) - 1, -1, -1) if messages[k].role == "assistant"), None)
    before = messages if last is None else messages[:last]
    return joined([m.content for m in before]), None if last is None else messages[last].content


def says_all(messages: tuple[Message, ...]) -> bool:
    """Whether prompt and response alone give the conversation back: a user turn, an answer, nothing extra; or text."""
    roles = [m.role for m in messages]
    return roles in (["user", "assistant"], ["user"], ["text"]) and all(m.extra is None for m in messages)


def content_id(row: Row) -> str:
    """32 hex digits that name the row's content: the same on every machine, nothing normalised.

    128-bit xxh3 over the messages, then chosen, then rejected, each as a count and, for every message, role, content
    and extra; counts and UTF-8 lengths are 4 bytes, little-endian, 0xFFFFFFFF where there is nothing; last the
    label, one byte: 0, 1 or 0xFF. Raises UnreadableRecord on half a surrogate pair.
    """
    parts = [*_hashed(row.messages), *_hashed(row.chosen), *_hashed(row.rejected)]
    parts.append(b"\xff" if row.label is None else bytes([row.label]))
    return xxhash.xxh3_128_hexdigest(b"".join(parts))


_NOTHING = b"\xff\xff\xff\xff"


def _hashed(messages: tuple[Message, ...] | None) -> Iterator[bytes]:
    if messages is None:
        yield _NOTHING
        return
    yield len(messages).to_bytes(4, "little")
    for text in (part for message in messages for part in message):
        if text is None:
            yield _NOTHING
        else:
            try:
                encoded = text.encode()
            except UnicodeEncodeError:
                raise UnreadableRecord("half a surrogate pair (such as \\ud83d) is not text") from None
            yield len(encoded).to_bytes(4, "little")
            yield encoded
