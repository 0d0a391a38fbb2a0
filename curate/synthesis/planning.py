"""What is to be written about: topic × skill × audience × form × constraint, so that variety comes from a plan.

`Plan.of("exercises", "en", seed=0)[7]` is the eighth seed of 30,240: without repeats, each topic as often as another,
the same on every machine.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import xxhash
import yaml

import curate
from curate.errors import InputError

AXES = ("skills", "audiences", "forms", "constraints")


@dataclass(frozen=True)
class Topic:
    """A leaf of a tree; `path`: its branch and itself. `share`: how often it comes, of 1; `examples`: rows of it."""

    path: tuple[str, ...]
    share: int = 1
    examples: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Branch and leaf, as prompts and reports name it."""
        return " > ".join(self.path)


@dataclass(frozen=True)
class Seed:
    """What one attempt is to be about. `again`: how often this combination came before;
    `number` seeds the model, and all else that is chance in this attempt."""

    attempt: int
    topic: Topic
    skill: str
    audience: str
    form: str
    constraint: str
    language: str
    again: int
    number: int

    def chance(self, what: str) -> random.Random:
        """Chance of this attempt alone, the same in every run."""
        return random.Random(f"{self.number} {what}")


@dataclass(frozen=True)
class Plan:
    """Seeds without end: each topic in turn, in another order each round, and never twice the same combination until
    all have come."""

    topics: tuple[Topic, ...]
    axes: tuple[tuple[str, ...], ...]
    language: str
    seed: int

    @classmethod
    def of(cls, kind: str, language: str, seed: int, topics: Sequence[Topic] | None = None) -> "Plan":
        """The plan of a kind; its own trees where no topics are given."""
        axes = _tree(bundled("synthesis.yaml"))[kind]
        if topics is None:
            trees = [_tree(bundled(f"topics/{name}.yaml")) for name in axes["trees"]]
            topics = [topic for tree in trees for topic in _leaves(tree, language)]
        said = tuple(tuple(_in(language, name) for name in axes[axis]) for axis in AXES)
        return cls(tuple(topics), said, language, seed)

    @property
    def size(self) -> int:
        """Combinations of a topic with all else, before any comes again."""
        return len(self.topics) * math.prod(map(len, self.axes))

    @cached_property
    def fingerprint(self) -> str:
        """Names the plan: another one has other seeds."""
        said = repr((self.topics, self.axes, self.language, self.seed))
        return xxhash.xxh3_64_hexdigest(said.encode())

    def __getitem__(self, attempt: int) -> Seed:
        turns = sum(topic.share for topic in self.topics)
        around, place = divmod(attempt, turns)
        which, visit = _order(self, around)[place]
        combinations = math.prod(map(len, self.axes))
        again, step = divmod(visit, combinations)
        chance = random.Random(f"{self.seed} topic {which}")
        # a stride that shares no divisor with their number meets every combination once before the first comes again
        stride = chance.choice([k for k in range(1, combinations + 1) if math.gcd(k, combinations) == 1])
        combination = (chance.randrange(combinations) + stride * step) % combinations
        chosen = []
        for axis in self.axes:
            combination, k = divmod(combination, len(axis))
            chosen.append(axis[k])
        sampling = xxhash.xxh3_64_intdigest(f"{self.seed} {attempt}".encode()) & 0x7FFFFFFF
        skill, audience, form, constraint = chosen
        topic = self.topics[which]
        return Seed(attempt, topic, skill, audience, form, constraint, self.language, again, sampling)


@lru_cache(maxsize=8)
def _order(plan: Plan, around: int) -> list[tuple[int, int]]:
    """The topics of a round in its order, each with how often it came before."""
    turns = [(which, around * topic.share + k) for which, topic in enumerate(plan.topics) for k in range(topic.share)]
    random.Random(f"{plan.seed} round {around}").shuffle(turns)
    return turns


def topics_of(path: Path, language: str) -> list[Topic]:
    """The topics of a user's YAML file: lists within named branches, or one list; "English | Korean" where both are.

    Raises InputError where there are none.
    """
    topics = list(_leaves(_tree(path), language))
    if not topics:
        raise InputError(f"{path} names no topic", "write a list of topics, or branches with lists, as YAML")
    return topics


def thinnest_first(topics: Mapping[str, Sequence[str]], most: int = 4) -> list[Topic]:
    """Topics with their rows, so that those with few come up to `most` times as often as the largest."""
    largest = max(map(len, topics.values()))
    return [
        Topic((name,), min(most, max(1, round(math.sqrt(largest / max(len(rows), 1))))), tuple(rows[:8]))
        for name, rows in topics.items()
    ]


def bundled(name: str) -> Path:
    """A file of `data/`."""
    return next(file for folder in curate.__path__ if (file := Path(folder) / "data" / name).is_file())


def _tree(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", "name a YAML file of topics") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}", "write a list of topics, or branches with lists") from None


def _leaves(tree: Any, language: str, path: tuple[str, ...] = ()) -> Iterator[Topic]:
    if isinstance(tree, Mapping):
        for name, below in tree.items():
            yield from _leaves(below, language, (*path, _in(language, str(name))))
    elif isinstance(tree, list):
        for below in tree:
            yield from _leaves(below, language, path)
    elif tree not in (None, ""):
        yield Topic((*path, _in(language, str(tree))))


def _in(language: str, text: str) -> str:
    english, _, korean = text.partition(" | ")
    return (korean or english if language == "ko" else english).strip()
