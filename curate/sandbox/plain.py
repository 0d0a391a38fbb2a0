"""Values as they pass between the tests and the program they test: plain data, copied; all else stays where it is.

`encode((1, {"a": b"x"}), hold)` is `["tuple", 1, ["dict", "a", ["bytes", "78"]]]`. `hold` takes what is no plain data
and gives the number under which the other side may ask about it. Nothing that is decoded can run code: an answer says
what it is by its value alone, so that no program can answer with an object that claims to equal everything.
"""

import builtins
import collections
import datetime
import decimal
import fractions
from collections.abc import Callable
from typing import Any

_WHOLE: dict[str, Any] = {
    "tuple": tuple,
    "list": list,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}
_WRITTEN: dict[str, tuple[type, Callable[[Any], list[Any]], Callable[..., Any]]] = {
    "bytes": (bytes, lambda value: [value.hex()], bytes.fromhex),
    "bytearray": (bytearray, lambda value: [value.hex()], bytearray.fromhex),
    "complex": (complex, lambda value: [value.real, value.imag], complex),
    "range": (
        range,
        lambda value: [hex(value.start), hex(value.stop), hex(value.step)],
        lambda *of: range(*map(_int, of)),
    ),
    "Decimal": (decimal.Decimal, lambda value: [str(value)], decimal.Decimal),
    "Fraction": (
        fractions.Fraction,
        lambda value: [hex(value.numerator), hex(value.denominator)],
        lambda *of: fractions.Fraction(*map(_int, of)),
    ),
    "datetime": (datetime.datetime, lambda value: [value.isoformat()], datetime.datetime.fromisoformat),
    "date": (datetime.date, lambda value: [value.isoformat()], datetime.date.fromisoformat),
    "time": (datetime.time, lambda value: [value.isoformat()], datetime.time.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        datetime.timedelta,
    ),
}
_LARGE = 1 << 63


def encode(value: Any, hold: Callable[[Any], int]) -> Any:
    """`value` for JSON. A subclass of a plain type (a Counter, a named tuple) is sent as that type."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        plain = int(value)
        return plain if -_LARGE < plain < _LARGE else ["int", hex(plain)]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        pairs = ["dict"]
        for key, of in dict.items(value):
            pairs += [encode(key, hold), encode(of, hold)]
        return pairs
    for name, kind in _WHOLE.items():
        if isinstance(value, kind):
            return [name, *(encode(part, hold) for part in kind.__iter__(value))]
    for name, (written, parts, _) in _WRITTEN.items():
        if isinstance(value, written):
            return [name, *parts(value)]
    known = getattr(value, "__name__", None)
    if isinstance(known, str) and getattr(builtins, known, None) is value:
        return ["builtin", known]
    return ["held", hold(value), callable(value)]


def decode(data: Any, take: Callable[[list[Any]], Any]) -> Any:
    """The value of `encode`; `take` makes what stands for a builtin or a held object. Raises for anything else."""
    if not isinstance(data, list):
        if data is not None and not isinstance(data, (bool, int, float, str)):
            raise ValueError("no plain data")
        return data
    name, *parts = data
    if name == "int":
        return _int(*parts)
    if name == "dict":
        read = [decode(part, take) for part in parts]
        return dict(zip(read[::2], read[1::2], strict=True))
    if name in _WHOLE:
        return _WHOLE[name]([decode(part, take) for part in parts])
    if name in _WRITTEN:
        return _WRITTEN[name][2](*parts)
    return take(data)


def _int(text: str) -> int:
    return int(text, 16)
