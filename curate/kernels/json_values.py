"""Cut a JSON array, or objects that follow one another, into values without white space, over a stream of blocks.

`[{"a": 1},\\n {"b": [2, 3]}]` gives `{"a":1}` and `{"b":[2,3]}`. Only the structure is followed: whether a value is
JSON at all is for the reader of the value to say; what stands outside the array is a value as well, never JSON.
"""

from curate.kernels.compiling import kernel

# What `state` holds between blocks
DEPTH, IN_STRING, ESCAPED, STARTED, GAP = 0, 1, 2, 3, 4
STATE_SIZE = 5

# GAP: what came last; `1 2` must not become `12`
_STRUCTURE, _SCALAR, _SPACE_AFTER_SCALAR = 0, 1, 2


@kernel
def cut_values(buf, base, state, out, starts, ends, origins):
    """Cut `buf` (u8[bytes]) into the values at nesting depth `base` (1 in an array, 0 for objects in sequence).

    `state` i64[STATE_SIZE] goes on from block to block, zero at first. The values' bytes go to `out` (one longer than
    `buf`), `starts`, `ends` say where, `origins` where each began in `buf` (-1: in an earlier block). Returns the
    number of values that ended in this block, the number of bytes in `out`, and of the value that goes on in the next
    block where it starts in `out` and its origin.
    """
    depth, in_string, escaped, started, gap = state[0], state[1], state[2], state[3], state[4]
    count = 0
    o = 0
    start = 0
    origin = -1
    for i in range(len(buf)):
        c = buf[i]
        if in_string:
            out[o] = c
            o += 1
            if escaped:
                escaped = 0
            elif c == 0x5C:
                escaped = 1
            elif c == 0x22:
                in_string = 0
            continue
        if c == 0x20 or c == 0x09 or c == 0x0A or c == 0x0D:
            if gap == _SCALAR:
                gap = _SPACE_AFTER_SCALAR
            continue
        opens = c == 0x7B or c == 0x5B
        closes = c == 0x7D or c == 0x5D
        if opens:
            depth += 1
        if closes and depth > 0:
            depth -= 1
        begins = opens and depth == base  # the array itself
        if begins or (closes and depth < base) or (depth <= base and c == 0x2C):
            if started:  # a scalar ends at the comma or the bracket after it
                starts[count], ends[count], origins[count] = start, o, origin
                count += 1
                started = 0
            continue
        if not started:
            started = 1
            gap = _STRUCTURE
            start = o
            origin = i
        if opens or closes or c == 0x22 or c == 0x2C or c == 0x3A:
            gap = _STRUCTURE
        else:
            if gap == _SPACE_AFTER_SCALAR:
                out[o] = 0x20
                o += 1
            gap = _SCALAR
        if c == 0x22:
            in_string = 1
        out[o] = c
        o += 1
        if closes and depth == base:
            starts[count], ends[count], origins[count] = start, o, origin
            count += 1
            started = 0
    state[0], state[1], state[2], state[3], state[4] = depth, in_string, escaped, started, gap
    if not started:
        start = o
    return count, o, start, origin
