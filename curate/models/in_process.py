"""What the backends within this process share: prompts rendered by the model's own chat template.

`rendered(tokenizer, request)` is `<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\n`.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from numpy import logaddexp

from curate.errors import UsageError
from curate.models.requests import Request


def rendered(tokenizer: Any, request: Request) -> str:
    """The request as the model's chat template writes it; without a template, the contents with blank lines between.

    Where the template knows no system turn (Gemma's of old), its text begins the first user turn.
    """
    turns = [turn._asdict() for turn in request.turns]
    if request.continues:
        return _unfinished(tokenizer, turns)
    if not tokenizer.chat_template:
        return "\n\n".join([turn["content"] for turn in turns]) + "\n\n" + request.prefill
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except TemplateError:
        if turns[0]["role"] != "system" or len(turns) < 2:
            raise
        merged = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
        text = tokenizer.apply_chat_template([merged, *turns[2:]], tokenize=False, add_generation_prompt=True)
    # what `continue_final_message` gives loses white space at the end of the prefill; this does not
    return str(text) + request.prefill


def _unfinished(tokenizer: Any, turns: list[dict[str, str]]) -> str:
    """The turns with the last one left open. Raises UsageError for a model without a chat template."""
    if not tokenizer.chat_template:
        raise UsageError("a model without a chat template has no user's turn to go on with", "name a chat model")
    mark = "\ue000"  # a private character, so that the end of the text is found whatever the template puts around it
    last = {**turns[-1], "content": turns[-1]["content"] + mark}
    text = str(tokenizer.apply_chat_template([*turns[:-1], last], tokenize=False))
    return text[: text.rindex(mark)]


def likeliest(tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Log-probability of each text that tokens stand for, likeliest first; tokens that read alike count together."""
    found: dict[str, float] = {}
    for text, logprob in tokens:
        found[text] = float(logaddexp(found[text], logprob)) if text in found else logprob
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def check_name(name: str) -> None:
    """Raises UsageError for a model that is neither a folder nor can be a name on the hub."""
    path = Path(name)
    if path.is_dir() and not (path / "config.json").is_file():
        raise UsageError(f"{name} is no model: it has no config.json", "name a folder that save_pretrained wrote")
    if not path.is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1 or not name):
        raise UsageError(f"there is no model folder {name}", "name a folder, or OWNER/NAME on the hub")


def identity(name: str) -> str:
    """The name, and for a folder a digest of its files: another model under an old path is another model."""
    path = Path(name)
    if not path.is_dir():
        return name
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(path.iterdir()):
        if file.suffix in (".safetensors", ".json", ".jinja", ".bin", ".model"):
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
            with file.open("rb") as opened:
                digest.update(opened.read(1 << 16))
                if file.stat().st_size > 1 << 17:  # weights differ at the end too
                    opened.seek(-(1 << 16), 2)
                    digest.update(opened.read())
    return f"{path.name}@{digest.hexdigest()}"
