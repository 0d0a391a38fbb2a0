"""The model that is trained, with its tokenizer made ready: a chat template, and a token to fill batches with."""

from typing import Any, NamedTuple

from curate.errors import UsageError
from curate.models.in_process import check_name
from curate.training.settings import Settings
from curate.training.templates import give_template
from curate.working import Working

LACKING = "pip install 'curate-instruct[train]'"


class Opened(NamedTuple):
    """A causal model and its tokenizer; `on_gpu`: where it is."""

    name: str
    model: Any
    tokenizer: Any
    on_gpu: bool


def open_model(name: str, settings: Settings, working: Working) -> Opened:
    """Load a model to train. Raises UsageError where what trains it is missing, or it can't be loaded."""
    import logging

    import datasets

    check_name(name)
    try:
        import torch
        import trl  # noqa: F401  (asked for before minutes are spent on loading)
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging as hf_logging
    except ImportError as error:
        raise UsageError(f"training needs TRL and torch, which do not import ({error})", LACKING) from None
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    datasets.disable_progress_bars()
    # TRL warns of packing without flash attention; transformers keeps packed rows apart for every implementation
    logging.getLogger("trl").setLevel(logging.ERROR)
    on_gpu = torch.cuda.is_available()
    # an adapter leaves the weights as they are, so that half of the memory is enough for them
    half = on_gpu and torch.cuda.is_bf16_supported() and settings.lora_rank
    tokenizer = open_tokenizer(name, working)
    try:
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.bfloat16 if half else torch.float32)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"transformers can't load {name}: {error}", "name a folder, or OWNER/NAME on the hub"
        ) from None
    longest = getattr(model.config, "max_position_embeddings", None) or settings.max_length
    if longest < settings.max_length:
        raise UsageError(
            f"max_length {settings.max_length:,} is over the {longest:,} tokens of {name}",
            f"--set max_length={longest}",
        )
    _set_dropout(model, settings.residual_dropout, working)
    return Opened(name, model, tokenizer, on_gpu)


def open_tokenizer(name: str, working: Working) -> Any:
    """A model's tokenizer as it is trained with. Raises UsageError where it can't be loaded or never ends a text."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"transformers can't load {name}: {error}", "name a folder, or OWNER/NAME on the hub"
        ) from None
    if tokenizer.eos_token is None:
        raise UsageError(f"{name} has no token that ends a text: it could not learn to stop", "take another model")
    if give_template(tokenizer):
        working.notice("the model has no chat template: Alpaca's ### headings are used, and saved with it")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token  # labels say what is learnt, so that eos may
    return tokenizer


def _set_dropout(model: Any, top: float, working: Working) -> None:
    """LIMA's dropout on residual connections: `top` at the last layer, falling to 0 at the first."""
    if not top:
        return
    names = ("resid_dropout", "residual_dropout", "resid_attn_dropout", "resid_mlp_dropout")
    layers = [module for name, module in model.named_modules() if name.endswith(names)]
    for k, layer in enumerate(layers):
        layer.p = top * k / max(len(layers) - 1, 1)
    if not layers:
        working.notice(f"residual dropout {top:g} is left out: this model has no such layer")
