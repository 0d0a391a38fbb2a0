"""What is ordered of a synthesis: everything that decides which rows come, but not how many.

`Order("textbook", "http://localhost:8000/v1#m").home` is the folder of its attempts, whatever their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import xxhash

import curate
from curate.contamination import BUILT_IN
from curate.embedding import Embedder, check_embedder, embedder
from curate.errors import UsageError
from curate.formats.sources import Source, sources_of
from curate.judging.judging import has_logprobs
from curate.judging.rubrics import load_rubric
from curate.models import check_model, identity_of
from curate.pool import Pool, ReadOptions, check_inputs, read_pool
from curate.selecting.topics import Topics
from curate.synthesis.drafts import version_of
from curate.synthesis.judged import RUBRIC, RUBRICS, Bench
from curate.synthesis.planning import Plan, Topic, bundled, thinnest_first, topics_of
from curate.working import Working

Kind = Literal["exercises", "textbook", "instructions", "evolve"]

PROMPTS: dict[str, tuple[str, ...]] = {
    "exercises": ("exercise", "repair"),
    "textbook": ("textbook", "section"),
    "instructions": ("instruction", "turn"),
    "evolve": ("evolve", "same"),
}
ANSWER_TOKENS = {"exercises": 900, "textbook": 1400, "instructions": 1000, "evolve": 1000}
"""How long an answer may become, by kind."""

EXAMPLE_CHARACTERS, MOST_EXAMPLES = 600, 20_000
"""Rows of `like` whose prompts are longer are no examples; so many are read."""


@dataclass(frozen=True)
class Order:
    """`topics`: a YAML file; `like`: files of rows whose thin topics are to grow; `against`: files of test rows;
    `benchmarks`: those that ship; `judge`: a model that scores each draft; `embedder`: what tells rows that mean the
    same; `repair`: an exercise may be mended once; `answer_tokens`: None as the kind has it.
    """

    kind: Kind
    model: str
    language: Literal["en", "ko"] = "en"
    topics: str | None = None
    like: Sequence[str] = ()
    against: Sequence[str] = ()
    benchmarks: Sequence[str] = BUILT_IN
    judge: str | None = None
    embedder: str | None = None
    repair: bool = False
    answer_tokens: int | None = None
    seed: int = 0
    work_dir: Path = Path(".curate")
    working: Working = field(default_factory=Working, compare=False)

    def __post_init__(self) -> None:
        check_model(self.model)
        if self.judge:
            check_model(self.judge)
        if self.embedder:
            check_embedder(self.embedder)
        if self.embedder == "default" and not self.like:
            raise UsageError(
                "the embedder default is fitted on rows, and there are none", "name some with --like, or another"
            )
        if self.topics and self.like:
            raise UsageError("--topics and --like both say what to write about", "give one of them")
        if self.kind not in PROMPTS:
            raise UsageError(f"no kind is called {self.kind}", f"known: {', '.join(PROMPTS)}")

    @cached_property
    def plan(self) -> Plan:
        """What each attempt is about. Raises InputError for files that name no topic."""
        topics = None
        if self.topics:
            topics = topics_of(Path(self.topics), self.language)
        elif self.like:
            topics = self._grown
        return Plan.of(self.kind, self.language, self.seed, topics)

    @cached_property
    def examples(self) -> tuple[str, ...]:
        """Instructions of others: those of `like`, or a few that were written for this."""
        if self.like:
            return tuple(example for topic in self._grown for example in topic.examples)
        import yaml

        written = yaml.safe_load(bundled("seed-instructions.yaml").read_text(encoding="utf-8"))
        return tuple(written[self.language])

    @cached_property
    def sources(self) -> list[Source]:
        """The files of test rows."""
        return sources_of(self.against, self.work_dir / "pools") if self.against else []

    @cached_property
    def tokens(self) -> int:
        """How long an answer may become."""
        return self.answer_tokens or ANSWER_TOKENS[self.kind]

    @cached_property
    def bench(self) -> Bench | None:
        """Who judges drafts; the judge is asked once whether it gives log-probabilities."""
        if not self.judge:
            return None
        known = has_logprobs(self.judge, self.work_dir, self.working)
        return Bench(load_rubric(RUBRICS.get(self.kind, RUBRIC), self.language), "expected" if known else "text")

    @cached_property
    def means(self) -> Embedder | None:
        """What tells rows that mean the same."""
        if not self.embedder:
            return None
        return embedder(self.embedder, self._pool if self.embedder == "default" else None, work_dir=self.work_dir)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that decides which rows come."""
        return {
            "kind": self.kind,
            "model": identity_of(self.model),
            "prompts": [version_of(name, self.language) for name in PROMPTS[self.kind]],
            "plan": self.plan.fingerprint,
            "examples": xxhash.xxh3_64_hexdigest("\0".join(self.examples).encode()),
            "against": [source.digest for source in self.sources],
            "benchmarks": list(self.benchmarks),
            "judge": [identity_of(self.judge), self.bench.rubric.fingerprint, self.bench.mode]
            if self.bench and self.judge
            else [],
            "embedder": self.means.fingerprint if self.means else "",
            "repair": self.repair,
            "answer_tokens": self.tokens,
            "seed": self.seed,
            "curate": curate.__version__,
        }

    @property
    def home(self) -> Path:
        """Where the attempts are kept."""
        return self.work_dir / "synth" / xxhash.xxh3_64_hexdigest(orjson.dumps(self.facts))

    @cached_property
    def _pool(self) -> Pool:
        """The rows of `like`."""
        check_inputs(self.like, self.work_dir)
        return read_pool(self.like, self.work_dir, ReadOptions(limit=MOST_EXAMPLES), working=self.working)

    @cached_property
    def _grown(self) -> list[Topic]:
        """The topics of the rows of `like`, those with few rows the more often."""
        pool = self._pool
        topics = Topics(pool, "default", "both", None, self.seed).of_rows(np.arange(len(pool)))
        prompts = [prompt for frame in pool.batches(["prompt"]) for prompt in frame["prompt"].to_list()]
        held: dict[str, list[str]] = {}
        for topic, prompt in zip(topics, prompts, strict=True):
            if topic and prompt and len(prompt) <= EXAMPLE_CHARACTERS:
                held.setdefault(topic, []).append(prompt)
        if not held:
            raise UsageError("the rows of --like have no prompts that could be examples", "name rows with instructions")
        return thinnest_first(dict(sorted(held.items())))
