"""The side of the program: runs it as a module, then does what the judge asks of it. Nothing here is trusted."""

import builtins
import os
import random
import socket
import sys
import types
from typing import Any

from curate.sandbox.peer import Gone, Link, Peer, Printed

GONE = 4
"""How this process ends when the judge wants no more of it: at the end, or after an answer that is none."""


def perform(connection: socket.socket, source: socket.socket, limits: dict[str, Any]) -> None:
    """Reads the program from `source`, loads it, and serves the judge until it is gone."""
    text = Link(source).receive()
    source.close()
    peer = Peer(Link(connection), program=True)
    sys.stdin, sys.stderr = os.fdopen(os.dup(0)), os.fdopen(os.dup(2), "w")
    peer.printed = sys.stdout = Printed(limits["output"])  # type: ignore[assignment]
    random.seed(limits["seed"])
    module = types.ModuleType("program")
    sys.modules["program"] = module
    peer.held.append(lambda: exec(compile(text, "<program>", "exec"), module.__dict__))
    peer.held.append(lambda name: module.__dict__[name])
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # `site`, which makes them, is not loaded
    try:
        while True:
            match peer.link.receive():
                case ["ask", *asked]:
                    peer.link.send(peer.answer(asked))
    except Gone:
        raise SystemExit(GONE) from None
