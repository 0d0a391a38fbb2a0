"""The process 1 of a sandbox: it forks a program and its judge for each run, waits, and leaves nothing of them.

It never sees a program or its tests: each child reads its own from a socket that comes with the request.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from curate.sandbox import isolation
from curate.sandbox.judging import judge
from curate.sandbox.program import perform

LOADED = """
abc array ast base64 bisect calendar cmath collections.abc contextlib copy csv dataclasses datetime decimal difflib enum
fractions functools hashlib heapq hmac html inspect io itertools json math numbers operator pprint queue random re
secrets statistics string struct tempfile textwrap threading time traceback types typing unicodedata uuid zlib
"""
"""Modules that programs often ask for: loaded once, so that no run waits for them."""


def serve(control: socket.socket) -> None:
    """Isolates itself, says so, and serves until the process that began it is gone."""
    try:
        for name in LOADED.split():
            importlib.import_module(name)
        null = os.open(os.devnull, os.O_RDWR)
        beginner = os.pidfd_open(os.getppid())
        isolation.isolate(folder for folder in sys.path if Path(folder).is_dir())
    except OSError as error:
        control.sendall(json.dumps({"refused": str(error)}).encode() + b"\n")
        return
    first = os.fork()
    if first:
        control.close()
        _end_with(beginner, first)
    os.close(beginner)
    isolation.die_with_parent()
    isolation.unreadable()
    try:
        isolation.check_processes_are_limited()
    except OSError as error:
        control.sendall(json.dumps({"refused": str(error)}).encode() + b"\n")
        os._exit(1)
    for name in [name for name in sys.modules if name.partition(".")[0] == "curate"]:
        del sys.modules[name]  # a program that looks for the tool finds none
    gc.collect()
    gc.freeze()
    control.sendall(b"{}\n")
    while True:
        request, handles, _, _ = socket.recv_fds(control, 4096, 2)
        if not request:
            os._exit(0)
        said = _run(json.loads(request), handles, null, control)
        control.sendall(json.dumps(said).encode() + b"\n")


def _end_with(beginner: int, first: int) -> None:
    """Ends process 1, and with it all others, when the beginner does; this process stands outside and only waits."""
    ready, _, _ = select.select([beginner, os.pidfd_open(first)], [], [])
    if beginner in ready:
        os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    os._exit(0)


def _run(limits: dict[str, Any], handles: list[int], null: int, control: socket.socket) -> dict[str, Any]:
    """One run: how the two children ended, and whether they had to be stopped."""
    isolation.fresh_tmp(limits["disk"])
    of_judge, of_program = (socket.socket(fileno=handle) for handle in handles)
    ours, theirs = socket.socketpair()
    began = time.monotonic()
    program = _fork(lambda: perform(theirs, of_program, limits), (theirs, of_program), null, limits)
    judging = _fork(lambda: judge(ours, of_judge), (ours, of_judge), null, limits)
    for end in (of_judge, of_program, ours, theirs):
        end.close()
    ended: dict[int, int] = {}
    late = not _wait(judging, limits["wall"], control)
    with suppress(ChildProcessError):
        _reap(ended, os.WNOHANG)
        if not late and ended.get(judging) == 3 << 8 and program not in ended:
            _wait(program, 0.5, control)  # the judge saw its socket close; it is about to end
            _reap(ended, os.WNOHANG)
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # whatever else was forked; process 1 itself is spared
    with suppress(ChildProcessError):
        _reap(ended, 0)
    isolation.drop_tmp()
    return {
        "judge": ended.get(judging),
        "program": ended.get(program),
        "late": late,
        "seconds": time.monotonic() - began,
    }


def _fork(work: Callable[[], None], kept: tuple[socket.socket, ...], null: int, limits: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        free = 3
        for handle in sorted(end.fileno() for end in kept):
            os.closerange(free, handle)
            free = handle + 1
        os.closerange(free, 1 << 16)
        os.setsid()
        os.chdir("/tmp")
        # Its own, and the two that wait and judge.
        isolation.confine(limits["memory"], limits["processes"] + 3, limits["disk"], limits["seconds"])
        work()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        os._exit(status)


def _wait(child: int, seconds: float, control: socket.socket) -> bool:
    """Whether the child ended in time. Ends everything when nobody waits for the answer any more."""
    handle = os.pidfd_open(child)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.register(control, select.POLLHUP | select.POLLRDHUP)
        ready = poll.poll(seconds * 1000)
        if any(which == control.fileno() for which, _ in ready):
            os._exit(0)
        return bool(ready)
    finally:
        os.close(handle)


def _reap(ended: dict[int, int], how: int) -> None:
    while True:
        child, status = os.waitpid(-1, how)
        if child == 0:
            return
        ended[child] = status
