"""How a model is trained: each choice of `train-sft` as one record, from presets, a YAML file, and `--set` on top.

`load_settings("lima", None, ["epochs=3", "trl.warmup_steps=10"])` is LIMA's, for three epochs, warmed up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from curate.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every training is told. The defaults train a low-rank adapter of every linear layer."""

    max_length: int = 2048
    """Tokens of a row, and of a sequence of packed rows, at most."""
    epochs: float = 3.0
    batch: int = 16
    """Sequences that a step learns from: packs, or rows where nothing is packed; of DPO, pairs."""
    at_once: int = 1
    """Sequences of them in memory at the same time, on each of several devices."""
    learning_rate: float = 2e-4
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    last_rate: float = 0.1
    """What the schedule ends at, as a share of `learning_rate`."""
    warmup: float = 0.03
    """Share of the steps in which the rate rises."""
    weight_decay: float = 0.0
    beta2: float = 0.999
    lora_rank: int = 16
    """Rank of the adapter, which is merged into the model at the end; 0 trains every weight."""
    residual_dropout: float = 0.0
    """Of the top layer, falling to 0 at the bottom one; for models that have such a layer."""
    gradient_checkpointing: bool = True
    """Less memory, a third more time."""
    validation: float = 0.05
    """Share of the rows, whole families, that is held out to measure on."""
    trl: Mapping[str, Any] = field(default_factory=dict)
    """Any other argument of TRL's trainer, as it is called in its configuration."""

    def __post_init__(self) -> None:
        for name in ("max_length", "epochs", "batch", "at_once", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be more than 0", "leave it out for its default")
        if self.batch % self.at_once:
            raise UsageError(
                f"batch {self.batch} is no multiple of at_once {self.at_once}", "as in batch 16, at_once 4"
            )
        if not 0 <= self.validation < 1:
            raise UsageError("validation is a share of the rows, from 0 to less than 1", "as in validation=0.05")

    def as_dict(self) -> dict[str, Any]:
        """Every choice, defaults spelled out."""
        return {**asdict(self), "trl": dict(self.trl)}


@dataclass(frozen=True, kw_only=True)
class SftSettings(Settings):
    """One supervised training; the defaults are `lora-small`'s."""

    loss: Literal["responses", "all"] = "responses"
    """What is learnt: every response of a conversation, or every token."""
    too_long: Literal["drop", "cut", "refuse"] = "drop"
    """A longer row is dropped, cut after the last answer that fits, or stops everything before it begins."""
    packing: bool = True
    """Whether rows share a sequence; none sees another. Else rows of like length share a batch."""


@dataclass(frozen=True, kw_only=True)
class DpoSettings(Settings):
    """One training on preferences (Rafailov et al., arXiv 2305.18290); longer pairs are left out."""

    epochs: float = 1.0
    learning_rate: float = 2e-5
    beta: float = 0.1
    """How dearly moving away from the model as it was is paid."""
    label_smoothing: float = 0.0
    """The share of preferences that are taken to be wrong (conservative DPO)."""


CHOICES = {
    "loss": ("responses", "all"),
    "too_long": ("drop", "cut", "refuse"),
    "schedule": ("constant", "linear", "cosine"),
}
AnySettings = TypeVar("AnySettings", bound=Settings)

PRESETS: dict[str, dict[str, Any]] = {
    "lora-small": {},
    "lima": {
        "packing": False,
        "epochs": 15.0,
        "batch": 64,
        "learning_rate": 1e-5,
        "schedule": "linear",
        "warmup": 0.0,
        "weight_decay": 0.1,
        "beta2": 0.95,
        "lora_rank": 0,
        "residual_dropout": 0.3,
    },
}
"""`lima`: Zhou et al., "LIMA", arXiv 2305.11206, section 3; its 7B model took batches of 32."""


def load_settings(preset: str, file: str | None, changes: Sequence[str]) -> SftSettings:
    """The preset, with what a YAML file says instead, and `NAME=VALUE` changes on top. Raises UsageError."""
    if preset not in PRESETS:
        raise UsageError(f"no preset is called {preset}", nearest(preset, list(PRESETS)))
    return settings_of(SftSettings, file, changes, PRESETS[preset])


def settings_of(
    kind: type[AnySettings], file: str | None, changes: Sequence[str], preset: Mapping[str, Any] | None = None
) -> AnySettings:
    """Settings of a kind: a preset's or its defaults, a YAML file over them, changes on top. Raises UsageError."""
    chosen: dict[str, Any] = {**(preset or {}), "trl": {}}
    for name, value in [*_read(file).items(), *map(_change, changes)]:
        outer, dot, inner = name.partition(".")
        if outer == "trl":
            chosen["trl"] |= {inner: value} if dot else _mapping(value)
        else:
            chosen[name] = value
    defaults = {each.name: getattr(kind(), each.name) for each in fields(kind)}
    for name, value in chosen.items():
        if name not in defaults:
            raise UsageError(f"no setting is called {name}", nearest(name, list(defaults)))
        chosen[name] = _fitting(name, value, defaults[name])
    return kind(**chosen)


def _read(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return _mapping(yaml.safe_load(Path(file).read_text()))
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}", "name a YAML file of settings") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not YAML: {error}", "write lines such as `epochs: 3`") from None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"settings are names with values, not {value!r}", "write lines such as `epochs: 3`")
    return {str(name): each for name, each in value.items()}


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text} is not NAME=VALUE", "as in --set epochs=3")
    # TRL's "no", as in trl.save_strategy=no, is a name; YAML takes it for false
    return name, value if value == "no" and name.startswith("trl.") else yaml.safe_load(value)


def _fitting(name: str, value: Any, default: Any) -> Any:
    """`value` as its default's kind. Raises UsageError where it is of another."""
    if name == "trl":
        return value
    if name in CHOICES and value not in CHOICES[name]:
        raise UsageError(f"{name} can't be {value}", f"known: {', '.join(CHOICES[name])}")
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = float(value)  # YAML takes 1e-5 for a text
        except ValueError:
            raise UsageError(f"{name} can't be {value}", f"its default is {default}") from None
    if isinstance(default, bool) != isinstance(value, bool) or (isinstance(default, int) and value != int(value)):
        raise UsageError(f"{name} can't be {value}", f"its default is {default}")
    return type(default)(value)
