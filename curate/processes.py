"""Processes of this machine: which one something belongs to, and whether it still runs.

own_name()                       # -> "myhost-4711-8123377"
is_running("myhost-4711-8123377")  # -> False once it ended, even if another process has the number now
"""

import os
import re
import socket
from contextlib import suppress
from pathlib import Path

HOST = re.sub(r"\W", "", socket.gethostname()) or "host"


def own_name() -> str:
    """This machine, this process, and when it began, where the system tells."""
    return f"{HOST}-{os.getpid()}-{_began(os.getpid())}"


def is_running(name: str) -> bool:
    """Whether the process of this name runs; one of another machine counts as gone, since nobody can tell."""
    host, number, began = name.split("-")
    return host == HOST and lives(int(number)) and _began(int(number)) == began


def number_of(name: str) -> int:
    """The number that `ps` and `kill` know the process by."""
    return int(name.split("-")[1])


def lives(process: int) -> bool:
    """Whether a process of this number runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # in a container whose first process collects no children, the killed stay listed as zombies
    return _facts(process)[:1] != ["Z"]


def _began(process: int) -> str:
    """In ticks since the machine started; empty where the system does not tell (macOS)."""
    return "".join(_facts(process)[19:20])


def _facts(process: int) -> list[str]:
    """What Linux tells of a process, from its state on."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return []
