"""Read the JSON lines that can be proven plain, straight from their bytes, into Arrow text columns.

`{"instruction": "Name a prime.", "output": "7", "votes": 3}` becomes prompt `Name a prime.`, response `7` and
meta `{"votes":3}`. A line is plain when it is one object whose fields come once each, whose prompt, input and
response are valid UTF-8 strings, and whose other fields are scalars or lists of scalars. Every other line is left
to `curate.shapes.reading.read_record`, the twin that a test holds this kernel against.

Loops that run over every byte count in u64: for a signed index numba first looks whether it counts from the end, which
makes them three times slower. Constants are given as `np.int64(8)`: for each literal numba compiles a function anew.
"""

import numpy as np

from curate.kernels.compiling import kernel

# What a field name means to the kernel; curate.pool.table fills the table.
OTHER, PROMPT, INPUT, RESPONSE, LABEL, UNUSUAL = 0, 1, 2, 3, 4, 5
MAX_FIELDS = 48  # a line with more fields is left to the twin: duplicates are searched pair by pair

# Classes of a byte inside a JSON string
_PLAIN, _QUOTE, _BACKSLASH, _CONTROL, _TWO, _THREE, _FOUR, _BAD = 0, 1, 2, 3, 4, 5, 6, 7
_CLASS = np.zeros(256, dtype=np.uint8)
_CLASS[:0x20] = _CONTROL
_CLASS[0x22] = _QUOTE
_CLASS[0x5C] = _BACKSLASH
_CLASS[0x80:] = _BAD
_CLASS[0xC2:0xE0] = _TWO
_CLASS[0xE0:0xF0] = _THREE
_CLASS[0xF0:0xF5] = _FOUR

# The id's layout for a row of one user turn and one answer; see curate.records.content_id
_USER = np.frombuffer(b"\x04\x00\x00\x00user", dtype=np.uint8)
_ASSISTANT = np.frombuffer(b"\x09\x00\x00\x00assistant", dtype=np.uint8)


@kernel
def _spaces(buf, i, end):
    while i < end and (buf[i] == 0x20 or buf[i] == 0x09 or buf[i] == 0x0D or buf[i] == 0x0A):
        i += 1
    return i


@kernel
def _hex4(buf, i):
    """The value of four hex digits at `i`, or -1."""
    value = 0
    for k in range(4):
        c = buf[i + k]
        if 0x30 <= c <= 0x39:
            digit = c - 0x30
        elif 0x41 <= c <= 0x46:
            digit = c - 0x37
        elif 0x61 <= c <= 0x66:
            digit = c - 0x57
        else:
            return -1
        value = value * 16 + np.int64(digit)
    return value


@kernel
def _string_end(buf, i, end, classes):
    """From the byte after the opening quote: (index of the closing quote or -1, whether anything is escaped)."""
    escaped = False
    while True:
        u, stop = np.uint64(i), np.uint64(end)
        while u < stop and classes[buf[u]] == _PLAIN:
            u += np.uint64(1)
        i = np.int64(u)
        if i == end:
            return -1, escaped
        c = classes[buf[i]]
        if c == _QUOTE:
            return i, escaped
        if c == _BACKSLASH:
            escaped = True
            if i + 1 >= end:
                return -1, escaped
            e = buf[i + 1]
            if e == 0x75:  # \u
                if i + 6 > end:
                    return -1, escaped
                unit = _hex4(buf, i + 2)
                if unit < 0 or 0xDC00 <= unit < 0xE000:
                    return -1, escaped
                if 0xD800 <= unit < 0xDC00:  # a high surrogate is plain only with its low half
                    if i + 12 > end or buf[i + 6] != 0x5C or buf[i + 7] != 0x75:
                        return -1, escaped
                    low = _hex4(buf, i + 8)
                    if low < 0xDC00 or low >= 0xE000:
                        return -1, escaped
                    i += 6
                i += 6
            elif e == 0x22 or e == 0x5C or e == 0x2F or e == 0x62 or e == 0x66 or e == 0x6E or e == 0x72 or e == 0x74:
                i += 2
            else:
                return -1, escaped
        elif c == _TWO:
            if i + 1 >= end or (buf[i + 1] & 0xC0) != 0x80:
                return -1, escaped
            i += 2
        elif c == _THREE:
            if i + 2 >= end or (buf[i + 1] & 0xC0) != 0x80 or (buf[i + 2] & 0xC0) != 0x80:
                return -1, escaped
            if (buf[i] == 0xE0 and buf[i + 1] < 0xA0) or (buf[i] == 0xED and buf[i + 1] >= 0xA0):
                return -1, escaped
            i += 3
        elif c == _FOUR:
            if i + 3 >= end or (buf[i + 1] & 0xC0) != 0x80 or (buf[i + 2] & 0xC0) != 0x80:
                return -1, escaped
            if (buf[i + 3] & 0xC0) != 0x80:
                return -1, escaped
            if (buf[i] == 0xF0 and buf[i + 1] < 0x90) or (buf[i] == 0xF4 and buf[i + 1] >= 0x90):
                return -1, escaped
            i += 4
        else:
            return -1, escaped


@kernel
def _put_code_point(out, o, cp):
    if cp < 0x80:
        out[o] = cp
        return o + 1
    if cp < 0x800:
        out[o] = 0xC0 | (cp >> 6)
        out[o + 1] = 0x80 | (cp & 0x3F)
        return o + 2
    if cp < 0x10000:
        out[o] = 0xE0 | (cp >> 12)
        out[o + 1] = 0x80 | ((cp >> 6) & 0x3F)
        out[o + 2] = 0x80 | (cp & 0x3F)
        return o + 3
    out[o] = 0xF0 | (cp >> 18)
    out[o + 1] = 0x80 | ((cp >> 12) & 0x3F)
    out[o + 2] = 0x80 | ((cp >> 6) & 0x3F)
    out[o + 3] = 0x80 | (cp & 0x3F)
    return o + 4


@kernel
def _put_bytes(out, o, buf, a, b):
    target, source = np.uint64(o), np.uint64(a)
    for k in range(np.uint64(b - a)):
        out[target + k] = buf[source + k]
    return o + b - a


@kernel
def _put_escape(out, o, c):
    """Write code unit `c` (below 0x20, a quote or a backslash) as orjson escapes it."""
    out[o] = 0x5C
    short = 0
    if c == 0x22 or c == 0x5C:
        short = c
    elif c == 0x0A:
        short = 0x6E
    elif c == 0x0D:
        short = 0x72
    elif c == 0x09:
        short = 0x74
    elif c == 0x08:
        short = 0x62
    elif c == 0x0C:
        short = 0x66
    if short:
        out[o + 1] = short
        return o + 2
    out[o + 1] = 0x75
    out[o + 2] = 0x30
    out[o + 3] = 0x30
    out[o + 4] = 0x30 + (c >> 4)
    low = c & 15
    out[o + 5] = 0x30 + low if low < 10 else 0x57 + low
    return o + 6


@kernel
def _put_string(out, o, buf, a, b, as_json):
    """Write the text of the JSON string in [a, b): decoded, or (`as_json`) with canonical escapes."""
    i = a
    while i < b:
        u, stop = np.uint64(i), np.uint64(b)
        while u < stop and buf[u] != 0x5C:
            u += np.uint64(1)
        if u > i:
            o = _put_bytes(out, o, buf, i, np.int64(u))
            i = np.int64(u)
            continue
        e = buf[i + 1]
        if e == 0x75:
            cp = _hex4(buf, i + 2)
            i += 6
            if 0xD800 <= cp < 0xDC00:
                cp = 0x10000 + ((cp - 0xD800) << 10) + (_hex4(buf, i + 2) - 0xDC00)
                i += 6
        else:
            i += 2
            if e == 0x6E:
                cp = 0x0A
            elif e == 0x74:
                cp = 0x09
            elif e == 0x72:
                cp = 0x0D
            elif e == 0x62:
                cp = 0x08
            elif e == 0x66:
                cp = 0x0C
            else:
                cp = np.int64(e)
        if as_json and (cp < 0x20 or cp == 0x22 or cp == 0x5C):
            o = _put_escape(out, o, cp)
        else:
            o = _put_code_point(out, o, cp)
    return o


@kernel
def _number_end(buf, i, end):
    """Index after the JSON number at `i`, or -1."""
    if i < end and buf[i] == 0x2D:
        i += 1
    if i >= end or buf[i] < 0x30 or buf[i] > 0x39:
        return -1
    if buf[i] == 0x30:
        i += 1
    else:
        while i < end and 0x30 <= buf[i] <= 0x39:
            i += 1
    if i < end and buf[i] == 0x2E:
        i += 1
        start = i
        while i < end and 0x30 <= buf[i] <= 0x39:
            i += 1
        if i == start:
            return -1
    if i < end and (buf[i] == 0x65 or buf[i] == 0x45):
        i += 1
        if i < end and (buf[i] == 0x2B or buf[i] == 0x2D):
            i += 1
        start = i
        while i < end and 0x30 <= buf[i] <= 0x39:
            i += 1
        if i == start:
            return -1
    return i


@kernel
def _literal_end(buf, i, end):
    """Index after `true`, `false` or `null` at `i`, or -1."""
    if i + 4 <= end and buf[i] == 0x74 and buf[i + 1] == 0x72 and buf[i + 2] == 0x75 and buf[i + 3] == 0x65:
        return i + 4
    if i + 4 <= end and buf[i] == 0x6E and buf[i + 1] == 0x75 and buf[i + 2] == 0x6C and buf[i + 3] == 0x6C:
        return i + 4
    if i + 5 <= end and buf[i] == 0x66 and buf[i + 1] == 0x61 and buf[i + 2] == 0x6C and buf[i + 3] == 0x73:
        if buf[i + 4] == 0x65:
            return i + 5
    return -1


@kernel
def _scalar_end(buf, i, end, classes):
    if i < end and buf[i] == 0x22:
        close, _ = _string_end(buf, i + 1, end, classes)
        return close + 1 if close >= 0 else -1
    stop = _literal_end(buf, i, end)
    return stop if stop >= 0 else _number_end(buf, i, end)


@kernel
def _value_end(buf, i, end, classes):
    """Index after the scalar or list of scalars at `i`, or -1."""
    if i >= end or buf[i] != 0x5B:
        return _scalar_end(buf, i, end, classes)
    i = _spaces(buf, i + 1, end)
    if i < end and buf[i] == 0x5D:
        return i + 1
    while True:
        i = _scalar_end(buf, i, end, classes)
        if i < 0:
            return -1
        i = _spaces(buf, i, end)
        if i >= end:
            return -1
        if buf[i] == 0x5D:
            return i + 1
        if buf[i] != 0x2C:
            return -1
        i = _spaces(buf, i + 1, end)


@kernel
def _put_value(out, o, buf, i, end, classes):
    """Write the proven value in [i, end) as canonical JSON."""
    while i < end:
        c = buf[i]
        if c == 0x22:
            close, escaped = _string_end(buf, i + 1, end, classes)
            out[o] = 0x22
            if escaped:
                o = _put_string(out, o + 1, buf, i + 1, close, np.bool_(True))
            else:
                o = _put_bytes(out, o + 1, buf, i + 1, close)
            out[o] = 0x22
            o += 1
            i = close + 1
        else:
            if c != 0x20 and c != 0x09 and c != 0x0A and c != 0x0D:
                out[o] = c
                o += 1
            i += 1
    return o


@kernel
def _meaning(buf, a, b, names, name_offsets, meanings):
    for k in range(len(meanings)):
        start = name_offsets[k]
        if name_offsets[k + 1] - start != b - a:
            continue
        same = True
        for j in range(b - a):
            if buf[a + j] != names[start + j]:
                same = False
                break
        if same:
            return k, meanings[k]
    return -1, OTHER


@kernel
def _put_length(out, o, n):
    out[o] = n & 0xFF
    out[o + 1] = (n >> 8) & 0xFF
    out[o + 2] = (n >> 16) & 0xFF
    out[o + 3] = (n >> 24) & 0xFF
    return o + 4


@kernel
def read_plain_lines(buf, starts, ends, names, name_offsets, meanings, classes):
    """Read each line of `buf` that is plain.

    Parameters: `buf` u8[bytes]; `starts`, `ends` i64[n], the lines; `names` u8[…] with `name_offsets` i64[k + 1] and
    `meanings` u8[k], the field names that mean something; `classes` is `BYTE_CLASSES`.
    Returns `field` i16[n] (which name held the prompt; -1: not plain), three pairs of text and i64[n + 1] offsets for
    prompt, response and meta, `answered` bool[n], and the pair whose slices are what a row's id is the hash of.
    """
    n = len(starts)
    total = np.int64(0)
    for row in range(n):
        total += ends[row] - starts[row]
    prompt = np.empty(total + 2 * n, dtype=np.uint8)
    response = np.empty(total, dtype=np.uint8)
    # a control character in meta may grow from two bytes to six, but it stood as six (\u00XX) before: never larger
    meta = np.empty(total + 2 * n, dtype=np.uint8)
    hashed = np.empty(total + 64 * n, dtype=np.uint8)
    field = np.full(n, -1, dtype=np.int16)
    answered = np.zeros(n, dtype=np.bool_)
    prompt_offsets = np.zeros(n + 1, dtype=np.int64)
    response_offsets = np.zeros(n + 1, dtype=np.int64)
    meta_offsets = np.zeros(n + 1, dtype=np.int64)
    hashed_offsets = np.zeros(n + 1, dtype=np.int64)
    key_start = np.empty(MAX_FIELDS, dtype=np.int64)
    key_end = np.empty(MAX_FIELDS, dtype=np.int64)
    value_start = np.empty(MAX_FIELDS, dtype=np.int64)
    value_end = np.empty(MAX_FIELDS, dtype=np.int64)
    p = np.int64(0)
    r = np.int64(0)
    m = np.int64(0)
    h = np.int64(0)
    for row in range(n):
        end = ends[row]
        i = _spaces(buf, starts[row], end)
        plain = i < end and buf[i] == 0x7B
        others = 0
        prompt_field = -1
        # (start, end, escaped) of the three texts; start -1: absent, -2: null
        pa, pb, pe = np.int64(-1), np.int64(-1), False
        ia, ib, ie = np.int64(-1), np.int64(-1), False
        ra, rb, re = np.int64(-1), np.int64(-1), False
        if plain:
            i = _spaces(buf, i + 1, end)
            plain = i < end and buf[i] != 0x7D
        while plain:
            if i >= end or buf[i] != 0x22:
                plain = False
                break
            ka = i + 1
            kb, key_escaped = _string_end(buf, ka, end, classes)
            if kb < 0 or key_escaped:
                plain = False
                break
            i = _spaces(buf, kb + 1, end)
            if i >= end or buf[i] != 0x3A:
                plain = False
                break
            i = _spaces(buf, i + 1, end)
            if i >= end:
                plain = False
                break
            which, meaning = _meaning(buf, ka, kb, names, name_offsets, meanings)
            if meaning == UNUSUAL or (meaning == LABEL and (buf[i] == 0x74 or buf[i] == 0x66)):
                plain = False
                break
            if meaning == PROMPT or meaning == INPUT or meaning == RESPONSE:
                va, vb, ve = np.int64(-2), np.int64(-2), False
                if buf[i] == 0x22:
                    va = i + 1
                    vb, ve = _string_end(buf, va, end, classes)
                    if vb < 0:
                        plain = False
                        break
                    i = vb + 1
                else:
                    i = _literal_end(buf, i, end)
                    if i < 0 or buf[i - 1] != 0x6C:  # only null ends in an l
                        plain = False
                        break
                if meaning == PROMPT:
                    if pa != -1:
                        plain = False
                        break
                    pa, pb, pe = va, vb, ve
                    prompt_field = which
                elif meaning == INPUT:
                    if ia != -1:
                        plain = False
                        break
                    ia, ib, ie = va, vb, ve
                else:
                    if ra != -1:
                        plain = False
                        break
                    ra, rb, re = va, vb, ve
            else:
                stop = _value_end(buf, i, end, classes)
                if stop < 0 or others == MAX_FIELDS:
                    plain = False
                    break
                for k in range(others):
                    if key_end[k] - key_start[k] == kb - ka:
                        same = True
                        for j in range(kb - ka):
                            if buf[key_start[k] + j] != buf[ka + j]:
                                same = False
                                break
                        if same:
                            plain = False
                            break
                if not plain:
                    break
                key_start[others] = ka
                key_end[others] = kb
                value_start[others] = i
                value_end[others] = stop
                others += 1
                i = stop
            i = _spaces(buf, i, end)
            if i >= end:
                plain = False
                break
            if buf[i] == 0x2C:
                i = _spaces(buf, i + 1, end)
                continue
            if buf[i] == 0x7D:
                i = _spaces(buf, i + 1, end)
                plain = i == end
                break
            plain = False
        if plain and pa >= 0:  # with a null prompt the shape may be another
            field[row] = prompt_field
            start = p
            if pa >= 0:
                p = _put_string(prompt, p, buf, pa, pb, np.bool_(False)) if pe else _put_bytes(prompt, p, buf, pa, pb)
            if ia >= 0 and ib > ia:
                if p > start:
                    prompt[p] = 0x0A
                    prompt[p + 1] = 0x0A
                    p += 2
                p = _put_string(prompt, p, buf, ia, ib, np.bool_(False)) if ie else _put_bytes(prompt, p, buf, ia, ib)
            h = _put_length(hashed, h, 2 if ra >= 0 else 1)
            h = _put_bytes(hashed, h, _USER, np.int64(0), np.int64(8))
            h = _put_length(hashed, h, p - start)
            h = _put_bytes(hashed, h, prompt, start, p)
            h = _put_length(hashed, h, np.int64(0xFFFFFFFF))
            if ra >= 0:
                answered[row] = True
                start = r
                r = (
                    _put_string(response, r, buf, ra, rb, np.bool_(False))
                    if re
                    else _put_bytes(response, r, buf, ra, rb)
                )
                h = _put_bytes(hashed, h, _ASSISTANT, np.int64(0), np.int64(13))
                h = _put_length(hashed, h, r - start)
                h = _put_bytes(hashed, h, response, start, r)
                h = _put_length(hashed, h, np.int64(0xFFFFFFFF))
            h = _put_length(hashed, h, np.int64(0xFFFFFFFF))  # no chosen
            h = _put_length(hashed, h, np.int64(0xFFFFFFFF))  # no rejected
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
    return (
        field,
        prompt[:p],
        prompt_offsets,
        response[:r],
        response_offsets,
        answered,
        meta[:m],
        meta_offsets,
        hashed[:h],
        hashed_offsets,
    )


BYTE_CLASSES = _CLASS
