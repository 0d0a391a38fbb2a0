"""A model in this process, by plain transformers: `hf:NAME_OR_PATH`. Slow, but it runs wherever PyTorch does.

Requests are taken in batches of like length and like sampling.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from curate.errors import UsageError
from curate.models.in_process import check_name, likeliest, rendered
from curate.models.requests import Failure, Passage, Reply, Request

QUEUED, BATCH_TOKENS = 256, 4096
"""Requests held for sorting by length; tokens of one batch, filling and answer included."""

LOGITS = 1 << 27
"""Numbers that the output layer makes for one batch of passages: half a gigabyte."""


class TransformersModel:
    """A causal model of this process. Raises UsageError where transformers is missing or can't load it."""

    def __init__(self, name: str) -> None:
        check_name(name)
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise UsageError(
                f"hf:{name} needs transformers and torch, which do not import here ({error})",
                "pip install 'curate-instruct[train]'",
            ) from None
        self.name, self._torch = name, torch
        logging.disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = "auto" if device == "cuda" else torch.float32  # most CPUs emulate bfloat16, many times slower
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
            self._model = AutoModelForCausalLM.from_pretrained(name, dtype=kind).to(device).eval()
        except (OSError, ValueError) as error:
            raise UsageError(f"transformers can't load {name}: {error}", "name a folder, or OWNER/NAME") from None
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.longest = int(getattr(self._model.config, "max_position_embeddings", None) or 1 << 20)
        self._held: list[tuple[int, Request, list[int]]] = []

    @property
    def room(self) -> int:
        """How many requests it takes now."""
        return QUEUED - len(self._held)

    def submit(self, tag: int, request: Request) -> None:
        """Hold a request until `collect`. Raises UsageError for a schema, which transformers alone can't hold to."""
        if request.schema:
            raise UsageError("hf: models can't be held to a schema", "use vllm:NAME, or a server: http://…/v1#NAME")
        text = rendered(self.tokenizer, request)
        plain = not self.tokenizer.chat_template
        self._held.append((tag, request, self.tokenizer(text, add_special_tokens=plain)["input_ids"]))

    def collect(self, notice: Callable[[str], None]) -> list[tuple[int, Reply | Failure]]:
        """The answers to one batch of those held: the longest, with what is nearly as long and sampled alike."""
        self._held.sort(key=lambda held: len(held[2]))
        longest = self._held[-1]
        size = len(longest[2]) + longest[1].max_tokens
        if size > self.longest:
            tag, request, tokens = self._held.pop()
            cause = f"{len(tokens):,} tokens and {request.max_tokens} to answer are over the model's {self.longest:,}"
            return [(tag, Failure(cause))]
        alike = [held for held in self._held if _sampled(held[1]) == _sampled(longest[1])]
        batch = alike[-max(BATCH_TOKENS // size, 1) :]
        taken = {tag for tag, _, _ in batch}
        self._held = [held for held in self._held if held[0] not in taken]
        replies = self._answer([request for _, request, _ in batch], [tokens for _, _, tokens in batch])
        return [(tag, reply) for (tag, _, _), reply in zip(batch, replies, strict=True)]

    def losses(self, passages: Sequence[Passage]) -> Iterator[tuple[int, list[float]]]:
        """For each passage its position and the mean loss of each span, in nats a token; batches of like length."""
        most = max(LOGITS // self._model.get_output_embeddings().weight.shape[0], 1)
        waiting = sorted(range(len(passages)), key=lambda k: len(passages[k].tokens))
        while waiting:
            batch: list[int] = []
            asked = 0
            longest = len(passages[waiting[-1]].tokens)
            while waiting and (len(batch) + 1) * longest <= max(BATCH_TOKENS, longest):
                asked += sum(stop - start for start, stop in passages[waiting[-1]].spans)
                if batch and asked > most:
                    break
                batch.append(waiting.pop())
            yield from zip(batch, self._losses([passages[k] for k in batch]), strict=True)

    def _losses(self, passages: Sequence[Passage]) -> list[list[float]]:
        torch = self._torch
        common = _common([passage.tokens for passage in passages], min(p.spans[0][0] for p in passages) - 1)
        rows = [torch.tensor(passage.tokens[common:]) for passage in passages]
        # filled at the end, where a causal model can't see it: so no mask is needed
        fed = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self._model.device)
        wanted = torch.zeros_like(fed, dtype=torch.bool)
        for k, passage in enumerate(passages):
            for start, stop in passage.spans:
                wanted[k, start - 1 - common : stop - 1 - common] = True

        def only_wanted(_: Any, hidden: tuple[Any, ...]) -> tuple[Any, ...]:
            return (hidden[0][wanted][None],)

        with torch.inference_mode():
            past = None
            if common:  # what all begin with, a chat template's first words mostly, is read once
                begin = torch.tensor([passages[0].tokens[:common]], device=self._model.device)
                past = self._model.base_model(input_ids=begin, use_cache=True).past_key_values
                past.batch_repeat_interleave(len(passages))
            # before the output layer, not after it: that of a prompt's tokens alone would be most of the memory
            hook = self._model.get_output_embeddings().register_forward_pre_hook(only_wanted)
            try:
                logits = self._model(input_ids=fed, past_key_values=past, use_cache=past is not None).logits[0].float()
            finally:
                hook.remove()
            said = logits.gather(1, fed.roll(-1, 1)[wanted][:, None])[:, 0]
            told = iter((logits.logsumexp(-1) - said).double().tolist())
        return [[sum(next(told) for _ in range(a, b)) / (b - a) for a, b in passage.spans] for passage in passages]

    def close(self) -> None:
        """Let go of the weights."""
        del self._model

    def _answer(self, requests: list[Request], tokens: list[list[int]]) -> list[Reply]:
        torch, request = self._torch, requests[0]
        fed = self.tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self._model.device)
        sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None}
        if request.temperature:
            torch.manual_seed(request.seed)
            sampling = {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p}
        start = fed["input_ids"].shape[1]
        allowed = _one_of(self.tokenizer, request.choices, start) if request.choices else None
        with torch.inference_mode():
            made = self._model.generate(
                **fed,
                **sampling,
                top_k=None,
                max_new_tokens=request.max_tokens,
                prefix_allowed_tokens_fn=allowed,
                stop_strings=list(request.stop) or None,
                tokenizer=self.tokenizer,
                output_logits=request.top_logprobs is not None,
                return_dict_in_generate=True,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        return [self._reply(made, k, r, len(t), start) for k, (r, t) in enumerate(zip(requests, tokens, strict=True))]

    def _reply(self, made: Any, k: int, request: Request, prompt_tokens: int, start: int) -> Reply:
        answer = made.sequences[k, start:].tolist()
        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        length = next((n for n, token in enumerate(answer) if token in ends), len(answer))
        finish = "stop" if length < len(answer) or length < request.max_tokens else "length"
        text = self.tokenizer.decode(answer[:length], skip_special_tokens=True)
        for mark in request.stop:
            text = text.partition(mark)[0]
        logprobs = None
        if request.top_logprobs is not None:
            logprobs = [self._likeliest(place[k], request.top_logprobs) for place in made.logits[: length + 1]]
        return Reply(text, logprobs, prompt_tokens, length, finish)

    def _likeliest(self, logits: Any, many: int) -> dict[str, float]:
        values, tokens = logits.float().log_softmax(-1).topk(many)
        texts = (self.tokenizer.decode([token]) for token in tokens.tolist())
        return likeliest(zip(texts, values.tolist(), strict=True))


def _common(rows: Sequence[list[int]], most: int) -> int:
    """How many tokens at the start all rows share, at most `most`; 0 where that would save nothing."""
    if len(rows) < 2:
        return 0
    first, last = min(rows), max(rows)  # whatever these two share, all between them do
    return next((k for k in range(most) if first[k] != last[k]), most)


def _sampled(request: Request) -> tuple[Any, ...]:
    one_alone = request.temperature and request.seed  # a seed is that of a batch, so a sampled request is one
    return (
        request.max_tokens,
        request.temperature,
        request.top_p,
        request.stop,
        request.top_logprobs,
        request.choices,
        one_alone,
    )


def _one_of(tokenizer: Any, choices: tuple[str, ...], start: int) -> Any:
    """What `generate` may take next so that the answer becomes one of the choices."""
    written = [
        [*tokenizer(choice, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for choice in choices
    ]

    def allowed(_: int, sequence: Any) -> list[int]:
        so_far = sequence[start:].tolist()
        n = len(so_far)
        return [choice[n] for choice in written if choice[:n] == so_far and n < len(choice)] or [tokenizer.eos_token_id]

    return allowed
