"""Two processes that call each other's functions over a socket and hand each other plain data (see `plain`).

The side of the tests sees the program's functions as `Remote` and the objects of its classes as `RemoteObject`; the
program sees functions that a test passes as `Remote`. Nothing but what was handed over can be reached.
"""

import builtins
import io
import json
import operator
import socket
import sys
from collections.abc import Callable
from typing import Any

from curate.sandbox.plain import decode, encode

LARGEST = 16_000_000
"""Bytes of one message."""

_CHANGEABLE = (list, dict, set)

_CALLBACK = frozenset({"call", "iter", "next"})
"""What may be done with an object that a test hands over."""

_OPERATORS = {
    name: getattr(operator, f"__{name}__")
    for name in (
        *("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "matmul", "and", "or"),
        "xor",
    )
}
_SPECIAL: dict[str, Callable[..., Any]] = {
    **{"len": len, "str": str, "repr": repr, "bool": bool, "hash": hash, "int": int, "float": float, "abs": abs},
    **{"getitem": operator.getitem, "setitem": operator.setitem, "delitem": operator.delitem, "neg": operator.neg},
    **{"contains": operator.contains, "reversed": reversed, "instancecheck": lambda of, other: isinstance(other, of)},
    "enter": lambda of: type(of).__enter__(of),
    "exit": lambda of, *error: type(of).__exit__(of, *error),
}


class Gone(Exception):
    """The other side ended or said something that is no message."""


class Link:
    """Messages over a socket: length, then JSON."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, message: Any) -> None:
        """One message to the other side."""
        data = json.dumps(message).encode()
        try:
            self.connection.sendall(len(data).to_bytes(4, "big") + data)
        except OSError as error:
            raise Gone(str(error)) from None

    def receive(self) -> Any:
        """The next message. Raises Gone."""
        size = int.from_bytes(self._read(4), "big")
        if size > LARGEST:
            raise Gone(f"a message of {size:,} bytes")
        try:
            return json.loads(self._read(size))
        except (ValueError, RecursionError):
            raise Gone("no message") from None

    def _read(self, size: int) -> bytes:
        parts, left = [], size
        while left:
            try:
                part = self.connection.recv(min(left, 1 << 20))
            except OSError as error:
                raise Gone(str(error)) from None
            if not part:
                raise Gone("ended")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


class Printed(io.StringIO):
    """What a program prints, up to a limit of characters."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def write(self, text: str) -> int:
        """Raises OSError beyond the limit."""
        if self.tell() + len(text) > self.most:
            raise OSError(f"printed more than {self.most:,} characters")
        return super().write(text)


class Peer:
    """One of the two sides. `program`: it holds what is tested, and lets its objects be looked into."""

    def __init__(self, link: Link, program: bool) -> None:
        self.link, self.program = link, program
        self.held: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.exceptions: dict[str, type[BaseException]] = {}
        self.printed: io.StringIO | None = None

    def hold(self, value: Any) -> int:
        """The number of an object that stays here, for the other side."""
        if isinstance(value, Remote):
            raise TypeError("an object of the other side inside of one of this side")
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.held)
            self.held.append(value)
        return number

    def encode(self, value: Any) -> Any:
        """`value` for a message."""
        if isinstance(value, Remote):
            return ["yours", object.__getattribute__(value, "_number")]
        if type(value) in (list, tuple) and any(isinstance(part, Remote) for part in value):
            return [type(value).__name__, *map(self.encode, value)]
        return encode(value, self.hold)

    def decode(self, data: Any, kind: "type[Remote] | None" = None) -> Any:
        """The value in a message; `kind`: what a held object becomes."""

        def take(given: list[Any]) -> Any:
            match given:
                case ["yours", int(number)]:
                    return self.held[number]
                case ["held", int(number), bool(_)]:
                    return (kind or Remote)(self, number)
                case ["builtin", str(name)]:
                    known = getattr(builtins, name)
                    # A test must not run a function only because the program answers with its name.
                    if self.program or isinstance(known, type):
                        return known
            raise ValueError("no plain data")

        return decode(data, take)

    def ask(self, *request: Any, kind: "type[Remote] | None" = None, changed: tuple[Any, ...] = ()) -> Any:
        """Sends a request; serves what the other side asks meanwhile; the answer, or raises what it raised."""
        self.link.send(["ask", *request])
        while True:
            try:
                match self.link.receive():
                    case ["ask", *asked]:
                        self.link.send(self.answer(asked))
                    case ["value", value, str(printed), list(now)]:
                        self._print(printed)
                        for before, after in zip(changed, now, strict=True):
                            _become(before, self.decode(after, kind))
                        return self.decode(value, kind)
                    case ["raise", list(names), args, str(text), str(printed)]:
                        self._print(printed)
                        raise self._exception(names, args, text)
                    case _:
                        raise Gone("no answer")
            except (ValueError, IndexError, AttributeError, ArithmeticError, RecursionError) as error:
                if getattr(error, "_of_program", False):
                    raise
                raise Gone("no plain data") from None

    def answer(self, asked: list[Any]) -> list[Any]:
        """What becomes of a request of the other side."""
        try:
            what, number, *rest = asked
            if not self.program and what not in _CALLBACK:
                raise PermissionError(what)
            of = self.held[number]
            given = [self.decode(part) for part in rest]
            value = getattr(self, f"_{what}")(of, *given)
            now = (
                [self.encode(part) for part in given[0] if isinstance(part, (list, dict, set))]
                if what == "call"
                else []
            )
            return ["value", self.encode(value), self._said(), now]
        except Gone:
            raise
        except BaseException as error:  # noqa: BLE001  whatever a program raises is an answer
            names = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__]
            try:
                args = [self.encode(part) for part in error.args]
                text = str(error)[:500]
            except Exception:  # noqa: BLE001  an exception that cannot be told is told by its type
                args, text = [], ""
            return ["raise", names, args, text, self._said()]

    def _call(self, of: Any, args: list[Any], named: dict[str, Any]) -> Any:
        return of(*args, **named)

    def _iter(self, of: Any) -> Any:
        return iter(of)

    def _next(self, of: Any) -> Any:
        return next(of)

    def _get(self, of: Any, name: str) -> Any:
        return getattr(of, name)

    def _set(self, of: Any, name: str, value: Any) -> None:
        setattr(of, name, value)

    def _special(self, of: Any, name: str, *args: Any) -> Any:
        return (_OPERATORS | _SPECIAL)[name](of, *args)

    def _print(self, text: str) -> None:
        if text:
            sys.stdout.write(text)

    def _said(self) -> str:
        if self.printed is None:
            return ""
        said = self.printed.getvalue()
        self.printed.seek(0)
        self.printed.truncate()
        return said

    def _exception(self, names: list[str], args: Any, text: str) -> BaseException:
        for name in names:
            module, _, bare = name.rpartition(".")
            kind = self.exceptions.get(bare) if module != "builtins" else getattr(builtins, bare, None)
            if isinstance(kind, type) and issubclass(kind, BaseException):
                break
        else:
            raise Gone("no exception")
        try:
            error = kind(*[self.decode(part) for part in args])
        except Exception:  # noqa: BLE001  one that wants other arguments than it tells
            error = RuntimeError(text)
        error._of_program = True  # type: ignore[attr-defined]
        return error


class Remote:
    """A function or another object of the other side: it can be called, gone through, and handed back."""

    __slots__ = ("_number", "_peer")
    _kind: "type[Remote] | None" = None

    def __init__(self, peer: Peer, number: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What the other side gives for it; what it changed in place is changed here."""
        peer, number = _parts(self)
        changeable = tuple(part for part in args if isinstance(part, _CHANGEABLE))
        sent = ["list", *map(peer.encode, args)], peer.encode(named)
        return peer.ask("call", number, *sent, kind=type(self)._kind, changed=changeable)

    def __iter__(self) -> Any:
        peer, number = _parts(self)
        return peer.ask("iter", number)

    def __next__(self) -> Any:
        peer, number = _parts(self)
        return peer.ask("next", number, kind=type(self)._kind)

    def __bool__(self) -> bool:
        raise TypeError("what the function gives is no plain value, and neither true nor false")


class RemoteObject(Remote):
    """An object of a class that the tests name, or that class: the program says how it behaves."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        peer, number = _parts(self)
        return peer.ask("get", number, name, kind=RemoteObject)

    def __setattr__(self, name: str, value: Any) -> None:
        peer, number = _parts(self)
        peer.ask("set", number, name, peer.encode(value))


def _special(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        peer, number = _parts(self)
        return peer.ask("special", number, name, *map(peer.encode, args), kind=RemoteObject)

    return method


def _operator(name: str) -> Callable[..., Any]:
    special = _special(name)

    def method(self: Remote, other: Any) -> Any:
        # Against plain data the program would judge itself: `distance(a, b) < 1e-6` is the test's to say.
        return special(self, other) if isinstance(other, RemoteObject) else NotImplemented

    return method


for _name in _SPECIAL:
    setattr(RemoteObject, f"__{_name}__", _special(_name))
for _name in _OPERATORS:
    setattr(RemoteObject, f"__{_name}__", _operator(_name))
RemoteObject._kind = RemoteObject


def _parts(remote: Remote) -> tuple[Peer, int]:
    return object.__getattribute__(remote, "_peer"), object.__getattribute__(remote, "_number")


def _become(before: Any, after: Any) -> None:
    """A list, dict or set that a program changed in place changes for the test too."""
    if type(before) is not type(after) or before == after:
        return
    before.clear()
    before.extend(after) if isinstance(before, list) else before.update(after)
