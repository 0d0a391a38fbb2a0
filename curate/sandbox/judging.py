"""The side of the tests: runs each, and asks the program's process for what the program is to compute.

The expected values never reach that process, and what it answers is data. Tests that a model wrote are no more
trusted than the program: this process is confined as that one is.
"""

import doctest
import linecache
import random
import socket
import sys
import traceback
from typing import Any, cast

from curate.sandbox.peer import Gone, Link, Peer, Printed, Remote, RemoteObject

_ROOM = 300
"""Characters of a sentence about a failure."""


def judge(connection: socket.socket, results: socket.socket) -> None:
    """Reads what is to be tested from `results`, and writes one verdict there. Exits with 3 if the program is gone."""
    results_link = Link(results)
    wanted = results_link.receive()
    sys.stdout = Printed(wanted["output"])  # type: ignore[assignment]
    random.seed(wanted["seed"])
    peer = Peer(Link(connection), program=False)
    try:
        verdict = _verdict(peer, wanted)
    except Gone as gone:
        results_link.send({"verdict": "gone", "cause": str(gone)})
        raise SystemExit(3) from None
    results_link.send(verdict)


def _verdict(peer: Peer, wanted: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {"__name__": "tests"}
    try:
        exec(compile(wanted["given"], "<given>", "exec"), known)
    except BaseException as error:  # noqa: BLE001
        return _failed(error, "what is given to the tests")
    try:
        peer.ask("call", 0, ["list"], ["dict"])
    except Gone:
        raise
    except BaseException as error:  # noqa: BLE001
        said = _failed(error, "the program")
        return said if said["verdict"] == "memory" else {**said, "verdict": "error"}
    for name, kind in wanted["names"].items():
        try:
            known[name] = _bound(peer, name, kind)
        except KeyError:
            return {"verdict": "error", "cause": f"the program defines no {name}"}
    for number, test in enumerate(wanted["tests"], 1):
        if (lost := _test(test, dict(known), number)) is not None:
            return lost
    return _examples(wanted["examples"], known) or {"verdict": "passed", "cause": ""}


def _bound(peer: Peer, name: str, kind: str) -> Any:
    """What the tests find under a name of the program. An exception class is one here too, so that it can be caught."""
    value = peer.ask("call", 1, ["list", name], ["dict"], kind=RemoteObject if kind == "class" else Remote)
    if kind in ("class", "function", "value"):
        return value
    base = getattr(__import__("builtins"), kind)
    peer.exceptions[name] = made = type(name, (base,), {})
    return made


def _test(source: str, known: dict[str, Any], number: int) -> dict[str, Any] | None:
    where = f"<test {number}>"
    linecache.cache[where] = (len(source), None, source.splitlines(True), where)
    try:
        exec(compile(source, where, "exec"), known)
    except Gone:
        raise
    except BaseException as error:  # noqa: BLE001  a test that ends in any other way than at its end has failed
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
        line = (source.splitlines() or [""])[(lines[-1] or 1) - 1 if lines else 0].strip()
        return _failed(error, f"test {number}", line)
    return None


def _examples(examples: list[dict[str, Any]], known: dict[str, Any]) -> dict[str, Any] | None:
    known, checker = dict(known), doctest.OutputChecker()
    screen = cast(Printed, sys.stdout)
    for number, example in enumerate(examples, 1):
        source, want = example["source"], example["want"]
        screen.seek(0)
        screen.truncate()
        try:
            exec(compile(source, f"<example {number}>", "single"), known)
            got = screen.getvalue()
            good = checker.check_output(want, got, example["flags"])
        except Gone:
            raise
        except BaseException as error:  # noqa: BLE001
            got = traceback.format_exception_only(type(error), error)[-1]
            if example["raises"] is None:
                return _failed(error, f"example {number}", source.strip())
            good = checker.check_output(example["raises"], got, example["flags"])
        if not good:
            gave = _cut(got.strip()) or "nothing"
            return {"verdict": "failed", "cause": f"example {number} gives {gave}: {_cut(source.strip())}"}
    return None


def _failed(error: BaseException, what: str, line: str = "") -> dict[str, Any]:
    if isinstance(error, MemoryError):
        return {"verdict": "memory", "cause": "it asked for more memory than it may have"}
    kind, text = type(error).__name__, str(error)
    if isinstance(error, AssertionError):
        said = f"{what} failed: {line}" if line else f"{what} failed"
        return {"verdict": "failed", "cause": _cut(said)}
    if isinstance(error, OSError) and "printed more than" in text:
        return {"verdict": "output", "cause": f"it {text}"}
    raised = f"{kind}: {text}" if text else kind
    return {"verdict": "failed", "cause": _cut(f"{what} raised {raised}" + (f", at {line}" if line else ""))}


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _ROOM else text[: _ROOM - 1] + "…"
