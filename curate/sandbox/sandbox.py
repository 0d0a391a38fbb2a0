"""`Sandbox`: runs a program's tests in a process of its own that reaches nothing of this machine."""

import ast
import builtins
import doctest
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from curate.code.parsing import parse
from curate.errors import UsageError
from curate.sandbox.peer import Gone, Link
from curate.sandbox.program import GONE

Verdict = Literal["passed", "failed", "error", "timeout", "memory", "output"]

_START = """
import socket, sys, types
for name, path in (("curate", {package!r}), ("curate.sandbox", {sandbox!r})):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
sys.modules["curate"].sandbox = sys.modules["curate.sandbox"]
from curate.sandbox.server import serve
serve(socket.socket(fileno={handle}))
"""
_LATE = {signal.SIGPROF, signal.SIGXCPU, signal.SIGVTALRM}
_CALM = 3.0
"""Wall seconds per second of processor time that a program may have: a busy machine makes none late."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may use."""

    seconds: float = 5.0
    """Of processor time, for the program and for its tests; of wall time three times as much."""
    memory: int = 512 << 20
    """Bytes of address space of each of its processes, the interpreter included."""
    processes: int = 1
    """Processes and threads that a program may have at once."""
    disk: int = 16 << 20
    """Bytes in `/tmp`, the only folder that can be written; gone after the run."""
    output: int = 100_000
    """Characters that may be printed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run: `passed` only when every test ran to its end."""

    verdict: Verdict
    cause: str = ""
    """A sentence for a person; empty when passed."""

    @property
    def passed(self) -> bool:
        """Whether every test and every example held."""
        return self.verdict == "passed"


class Sandbox:
    """A world without network, home, environment or other processes, in which programs are tested one at a time.

    Opened on the first run or by `with`. Raises UsageError where this system cannot isolate: Linux 5.12 or later with
    user namespaces (or root), on x86_64 or aarch64.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends everything in it."""
        if self._process:
            self._control.close()
            try:
                self._process.wait(10)  # process 1 sees that nobody asks any more, and takes all others with it
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def run(
        self,
        program: str,
        tests: Sequence[str],
        *,
        examples: str = "",
        given: str = "",
        names: Sequence[str] | None = None,
        seconds: float | None = None,
        seed: int = 0,
    ) -> Outcome:
        """Loads `program` and runs each of `tests`, a piece of Python that fails by raising.

        The tests run in another process than the program: what they call there is computed there, and comes back as
        plain data. `names`: the functions and classes of the program that they see; None: all that they mention.
        `examples`: a docstring, whose examples must hold too. `given`: code that the tests rely on (imports, helpers)
        and the program must not redefine. `seconds`: in place of the limit. `seed` is what `random` starts from.
        """
        try:
            defined = _defined(program)
            shown = doctest.DocTestParser().get_examples(examples)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Outcome("error", f"it does not parse: {error}")
        texts = [*tests, *(example.source for example in shown)]
        wanted = {name: defined.get(name, "function") for name in names} if names is not None else _seen(defined, texts)
        limits = {
            "seconds": seconds or self.limits.seconds,
            "wall": _CALM * (seconds or self.limits.seconds),
            "memory": self.limits.memory,
            "processes": self.limits.processes,
            "disk": self.limits.disk,
            "output": self.limits.output,
            "seed": seed,
        }
        request = {
            **{"tests": list(tests), "given": given, "names": wanted, "output": self.limits.output, "seed": seed},
            "examples": [
                {
                    "source": example.source,
                    "want": example.want,
                    "raises": example.exc_msg,
                    "flags": _flags(example.options),
                }
                for example in shown
            ],
        }
        with self._turn:
            self._open()
            try:
                said, verdict = self._ask(limits, program, request)
            except (OSError, Gone, ValueError) as error:
                self.close()
                return Outcome("error", f"the sandbox ended: {error}")
        return _outcome(said, verdict, limits["seconds"])

    def _open(self) -> None:
        if self._process:
            return
        if sys.platform != "linux":
            raise UsageError(
                f"the sandbox that runs model-written code needs Linux, and this is {sys.platform}",
                "run this command on Linux, in a virtual machine or in a container",
            )
        self._control, theirs = socket.socketpair()
        here = Path(__file__).parent
        code = _START.format(package=str(here.parent), sandbox=str(here), handle=theirs.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-S", "-P", "-B", "-c", code],
            env={"PYTHONHASHSEED": "0"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        said = self._line(60)
        process = self._process
        if said is None or "refused" in said:
            self._control.close()
            process.kill()
            _, errors = process.communicate()
            self._process = None
            cause = said["refused"] if said else (errors.decode(errors="replace").strip().splitlines() or ["?"])[-1]
            raise UsageError(
                f"code cannot be isolated on this machine: {cause}",
                "allow user namespaces (sysctl user.max_user_namespaces and"
                " kernel.apparmor_restrict_unprivileged_userns=0;"
                " in a container --security-opt seccomp=unconfined) on Linux 5.12 or later",
            )
        if process.stderr:
            process.stderr.close()

    def _ask(self, limits: dict[str, Any], program: str, request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        to_judge, of_judge = socket.socketpair()
        to_program, of_program = socket.socketpair()
        with to_judge, to_program:
            with of_judge, of_program:
                handles = [of_judge.fileno(), of_program.fileno()]
                socket.send_fds(self._control, [json.dumps(limits).encode()], handles)
            for end, message in ((to_program, program), (to_judge, request)):
                end.settimeout(10)
                with suppress(Gone):
                    Link(end).send(message)
            said = self._line(limits["wall"] + 10)
            if said is None:
                raise Gone("it no longer answers")
            with suppress(Gone):
                return said, Link(to_judge).receive()
        return said, None

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The next line of process 1; None if there is none in time."""
        line, until = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._control], [], [], max(0, until - time.monotonic()))
            part = self._control.recv(4096) if ready else b""
            if not part:
                return None
            line += part
        said: dict[str, Any] = json.loads(line)
        return said


def _outcome(said: dict[str, Any], verdict: Any, seconds: float) -> Outcome:
    """From how the two processes ended and what the judge said."""
    late = Outcome("timeout", f"it took longer than {seconds:g} s")
    if said["late"]:
        return late
    if isinstance(verdict, dict) and said["judge"] == 0 and verdict.get("verdict") in Verdict.__args__:  # type: ignore[attr-defined]
        return Outcome(verdict["verdict"], str(verdict["cause"]))
    gone = isinstance(verdict, dict) and verdict.get("verdict") == "gone"
    who, status = ("the program", said["program"]) if gone else ("the test", said["judge"])
    if status is None:
        return Outcome("error", f"{who} gave no answer")
    if gone and status in (signal.SIGKILL, GONE << 8):
        return Outcome("error", "the program gave an answer that is none")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in _LATE:
            return late
        return Outcome("error", f"{who} was ended by {signal.Signals(number).name}")
    return Outcome("error", f"{who} ended itself, with status {os.WEXITSTATUS(status)}")


def _defined(program: str) -> dict[str, str]:
    """What a program defines: `function`, `class`, `value`, or for exceptions the builtin one they come from."""
    found: dict[str, str] = {}
    for node in parse(program).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = "function"
        elif isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            raised = [found.get(base, base) for base in bases]
            kinds = (name for name in raised if _is_exception(name))
            found[node.name] = next(kinds, "class")
        elif isinstance(node, ast.Assign):
            found |= {target.id: "value" for target in node.targets if isinstance(target, ast.Name)}
    return found


def _is_exception(name: str) -> bool:
    kind = getattr(builtins, name, None)
    return isinstance(kind, type) and issubclass(kind, Exception)


def _seen(defined: dict[str, str], texts: Sequence[str]) -> dict[str, str]:
    """What the tests mention of it. Builtins and modules stay what they are, whatever the program calls so."""
    mentioned: set[str] = set()
    for text in texts:
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            mentioned |= {node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name)}
    kept = mentioned - set(dir(builtins)) - sys.stdlib_module_names
    return {name: kind for name, kind in defined.items() if name in kept}


def _flags(options: dict[int, bool]) -> int:
    flags = doctest.NORMALIZE_WHITESPACE
    for flag, on in options.items():
        flags = flags | flag if on else flags & ~flag
    return flags
