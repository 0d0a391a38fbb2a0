"""What a judge thinks of a draft, before it is compared with others: the rubrics of `curate judge`.

A section that teaches little is lost: `judged: educational-value 1.31, below 3`.
"""

from dataclasses import dataclass, replace

from curate.judging.rubrics import Mode, Rubric
from curate.judging.scoring import Score, Unscored, read_score, request_for
from curate.synthesis.drafts import Attempt, Lost, ToJudge

RUBRIC, RUBRICS = "educational-value", {"exercises": "educational-value-code"}
"""By what drafts are judged; by kind, where that is another."""


@dataclass(frozen=True)
class Bench:
    """A judge: by which rubric, and how it is asked."""

    rubric: Rubric
    mode: Mode

    def judged(self, attempt: Attempt) -> Attempt:
        """The attempt, and after it the judge's score."""
        draft = yield from attempt
        turns = self.rubric.turns(self.mode, prompt=draft.instruction, response=draft.response)
        reply = yield ToJudge(request_for(turns, self.rubric, self.mode))
        said = read_score(reply, self.rubric, self.mode)
        if not isinstance(said, Score):
            raise Lost("judged", said.cause if isinstance(said, Unscored) else "the judge gave no score")
        if self.rubric.keep is not None and said.value < self.rubric.keep:
            raise Lost("judged", f"{self.rubric.name} {said.value:.2f}, below {self.rubric.keep:g}")
        return replace(draft, facts={**draft.facts, "score": round(said.value, 3)})
