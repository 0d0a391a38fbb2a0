"""Read the JSON lines that can be proven to be plain conversations, straight from their bytes.

`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}` becomes prompt `Hi` and
response `Hello.`; `conversations` of `from` and `value` likewise. A line is plain when each turn has a known role and a
text and nothing else, and all other fields are scalars or lists of scalars that come once each. Every other line is
left to `curate.shapes.reading.read_record`, the twin that a test holds this kernel against.
"""

import numpy as np

from curate.kernels.compiling import kernel
from curate.kernels.json_lines import (
    LABEL,
    MAX_FIELDS,
    UNUSUAL,
    _meaning,
    _put_bytes,
    _put_length,
    _put_string,
    _put_value,
    _spaces,
    _string_end,
    _value_end,
)

CONVERSATION = 6
MAX_TURNS = 256  # a longer conversation is left to the twin

USER, ASSISTANT, SYSTEM, TOOL = 0, 1, 2, 3
ROLES = ("user", "assistant", "system", "tool")
"""Roles by their number."""

_SPELLINGS = (
    ("user", USER),
    ("human", USER),
    ("assistant", ASSISTANT),
    ("gpt", ASSISTANT),
    ("system", SYSTEM),
    ("tool", TOOL),
)
_ROLE_NAMES = np.frombuffer("".join(name for name, _ in _SPELLINGS).encode(), dtype=np.uint8)
_ROLE_OFFSETS = np.cumsum([0] + [len(name) for name, _ in _SPELLINGS]).astype(np.int64)
_ROLE_OF = np.array([role for _, role in _SPELLINGS], dtype=np.uint8)
_ROLE_TEXT = np.frombuffer("".join(ROLES).encode(), dtype=np.uint8)
_ROLE_TEXT_OFFSETS = np.cumsum([0] + [len(role) for role in ROLES]).astype(np.int64)

_KEYS = ("role", "from", "content", "value")
_KEY_NAMES = np.frombuffer("".join(_KEYS).encode(), dtype=np.uint8)
_KEY_OFFSETS = np.cumsum([0] + [len(key) for key in _KEYS]).astype(np.int64)
_KEY_OF = np.arange(len(_KEYS), dtype=np.uint8)


@kernel
def _turns(buf, i, end, classes, roles, starts, ends, escaped):
    """Read the list of turns at `i`: (index after it or -1, number of turns, whether the first was `from`, `value`)."""
    count = 0
    sharegpt = False
    i = _spaces(buf, i + 1, end)
    while True:
        if i >= end or buf[i] != 0x7B or count == MAX_TURNS:
            return -1, 0, False
        role, style = -1, -1
        has_text = False
        for part in range(2):
            i = _spaces(buf, i + 1, end)
            if i >= end or buf[i] != 0x22:
                return -1, 0, False
            stop, odd = _string_end(buf, i + 1, end, classes)
            if stop < 0 or odd:
                return -1, 0, False
            which, key = _meaning(buf, i + 1, stop, _KEY_NAMES, _KEY_OFFSETS, _KEY_OF)
            if which < 0 or (style >= 0 and key % 2 != style):
                return -1, 0, False
            style = key % 2
            i = _spaces(buf, stop + 1, end)
            if i >= end or buf[i] != 0x3A:
                return -1, 0, False
            i = _spaces(buf, i + 1, end)
            if i >= end or buf[i] != 0x22:
                return -1, 0, False
            start = i + 1
            stop, odd = _string_end(buf, start, end, classes)
            if stop < 0:
                return -1, 0, False
            if key < 2:
                found, number = _meaning(buf, start, stop, _ROLE_NAMES, _ROLE_OFFSETS, _ROLE_OF)
                if found < 0 or odd or role >= 0:
                    return -1, 0, False
                role = np.int64(number)
            else:
                if has_text:
                    return -1, 0, False
                has_text = True
                starts[count], ends[count], escaped[count] = start, stop, odd
            i = _spaces(buf, stop + 1, end)
            if i >= end or buf[i] != (0x2C if part == 0 else 0x7D):
                return -1, 0, False
        roles[count] = role
        if count == 0:
            sharegpt = style == 1
        count += 1
        i = _spaces(buf, i + 1, end)
        if i >= end:
            return -1, 0, False
        if buf[i] == 0x5D:
            return i + 1, count, sharegpt
        if buf[i] != 0x2C:
            return -1, 0, False
        i = _spaces(buf, i + 1, end)


@kernel
def read_plain_conversations(buf, starts, ends, names, name_offsets, meanings, classes):
    """Read each line of `buf` that is a plain conversation.

    Parameters as of `read_plain_lines`. Returns `shape` i8[n] (-1: not plain, 0: messages, 1: sharegpt), pairs of text
    and i64[n + 1] offsets for prompt, response and meta, `answered` bool[n], the pair that ids are the hash of, and the
    turns of the rows that prompt and response don't tell whole: `turn_offsets` i64[n + 1], and per turn its role u8 and
    its text, again as bytes and offsets.
    """
    n = len(starts)
    total = np.int64(0)
    for row in range(n):
        total += ends[row] - starts[row]
    prompt = np.empty(total + 2 * n, dtype=np.uint8)
    response = np.empty(total, dtype=np.uint8)
    meta = np.empty(total + 2 * n, dtype=np.uint8)
    hashed = np.empty(total + 64 * n, dtype=np.uint8)
    content = np.empty(total, dtype=np.uint8)
    most_turns = total // 20 + 1  # {"from":"","value":""}, is longer
    turn_roles = np.empty(most_turns, dtype=np.uint8)
    content_offsets = np.zeros(most_turns + 1, dtype=np.int64)
    shape = np.full(n, -1, dtype=np.int8)
    answered = np.zeros(n, dtype=np.bool_)
    prompt_offsets = np.zeros(n + 1, dtype=np.int64)
    response_offsets = np.zeros(n + 1, dtype=np.int64)
    meta_offsets = np.zeros(n + 1, dtype=np.int64)
    hashed_offsets = np.zeros(n + 1, dtype=np.int64)
    turn_offsets = np.zeros(n + 1, dtype=np.int64)
    key_start = np.empty(MAX_FIELDS, dtype=np.int64)
    key_end = np.empty(MAX_FIELDS, dtype=np.int64)
    value_start = np.empty(MAX_FIELDS, dtype=np.int64)
    value_end = np.empty(MAX_FIELDS, dtype=np.int64)
    role = np.empty(MAX_TURNS, dtype=np.uint8)
    text_start = np.empty(MAX_TURNS, dtype=np.int64)
    text_end = np.empty(MAX_TURNS, dtype=np.int64)
    text_escaped = np.empty(MAX_TURNS, dtype=np.bool_)
    p = np.int64(0)
    r = np.int64(0)
    m = np.int64(0)
    h = np.int64(0)
    c = np.int64(0)
    t = np.int64(0)
    for row in range(n):
        end = ends[row]
        i = _spaces(buf, starts[row], end)
        plain = i < end and buf[i] == 0x7B
        others = 0
        turns = 0
        sharegpt = False
        while plain:
            i = _spaces(buf, i + 1, end)
            plain = False  # until this field is read
            if i >= end or buf[i] != 0x22:
                break
            ka = i + 1
            kb, odd = _string_end(buf, ka, end, classes)
            if kb < 0 or odd:
                break
            i = _spaces(buf, kb + 1, end)
            if i >= end or buf[i] != 0x3A:
                break
            i = _spaces(buf, i + 1, end)
            if i >= end:
                break
            _, meaning = _meaning(buf, ka, kb, names, name_offsets, meanings)
            if meaning == UNUSUAL or (meaning == LABEL and (buf[i] == 0x74 or buf[i] == 0x66)):
                break
            if meaning == CONVERSATION:
                if turns or buf[i] != 0x5B:
                    break
                i, turns, sharegpt = _turns(buf, i, end, classes, role, text_start, text_end, text_escaped)
                if i < 0:
                    break
            else:
                stop = _value_end(buf, i, end, classes)
                if stop < 0 or others == MAX_FIELDS:
                    break
                twice = False
                for k in range(others):
                    if key_end[k] - key_start[k] == kb - ka:
                        same = True
                        for j in range(kb - ka):
                            if buf[key_start[k] + j] != buf[ka + j]:
                                same = False
                                break
                        twice = twice or same
                if twice:
                    break
                key_start[others], key_end[others] = ka, kb
                value_start[others], value_end[others] = i, stop
                others += 1
                i = stop
            i = _spaces(buf, i, end)
            if i >= end:
                break
            if buf[i] == 0x2C:
                plain = True
                continue
            if buf[i] == 0x7D:
                plain = _spaces(buf, i + 1, end) == end
            break
        if plain and turns:
            shape[row] = 1 if sharegpt else 0
            last = -1
            for k in range(turns):
                if role[k] == ASSISTANT:
                    last = k
            stored = not (role[0] == USER and (turns == 1 or (turns == 2 and last == 1)))
            before = last if last >= 0 else turns
            first_prompt = p
            h = _put_length(hashed, h, turns)
            for k in range(turns):
                name = _ROLE_TEXT_OFFSETS[role[k]]
                name_end = _ROLE_TEXT_OFFSETS[role[k] + 1]
                h = _put_length(hashed, h, name_end - name)
                h = _put_bytes(hashed, h, _ROLE_TEXT, name, name_end)
                text = h + 4
                a, b = text_start[k], text_end[k]
                if text_escaped[k]:
                    stop = _put_string(hashed, text, buf, a, b, False)
                else:
                    stop = _put_bytes(hashed, text, buf, a, b)
                _put_length(hashed, h, stop - text)
                h = _put_length(hashed, stop, 0xFFFFFFFF)  # no extra
                if k < before and stop > text:
                    if p > first_prompt:
                        prompt[p] = 0x0A
                        prompt[p + 1] = 0x0A
                        p += 2
                    p = _put_bytes(prompt, p, hashed, text, stop)
                if k == last:
                    answered[row] = True
                    r = _put_bytes(response, r, hashed, text, stop)
                if stored:
                    c = _put_bytes(content, c, hashed, text, stop)
                    turn_roles[t] = role[k]
                    t += 1
                    content_offsets[t] = c
            h = _put_length(hashed, h, 0xFFFFFFFF)  # no chosen
            h = _put_length(hashed, h, 0xFFFFFFFF)  # no rejected
            hashed[h] = 0xFF  # no label
            h += 1
            meta[m] = 0x7B
            m += 1
            for k in range(others):
                if k:
                    meta[m] = 0x2C
                    m += 1
                meta[m] = 0x22
                m = _put_bytes(meta, m + 1, buf, key_start[k], key_end[k])
                meta[m] = 0x22
                meta[m + 1] = 0x3A
                m = _put_value(meta, m + 2, buf, value_start[k], value_end[k], classes)
            meta[m] = 0x7D
            m += 1
        prompt_offsets[row + 1] = p
        response_offsets[row + 1] = r
        meta_offsets[row + 1] = m
        hashed_offsets[row + 1] = h
        turn_offsets[row + 1] = t
    return (
        shape,
        prompt[:p],
        prompt_offsets,
        response[:r],
        response_offsets,
        answered,
        meta[:m],
        meta_offsets,
        hashed[:h],
        hashed_offsets,
        turn_offsets,
        turn_roles[:t],
        content[:c],
        content_offsets[: t + 1],
    )
