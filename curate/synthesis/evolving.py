"""Evol-Instruct: an instruction made harder or rarer by one of its operators, and eliminated where that failed.

The operators are the plan's constraints of kind `evolve`: five that deepen, one that widens. Source of both, and of the
rules that eliminate: Xu et al. 2023, "WizardLM", arXiv 2304.12244, section 3.2.
"""

import re

from curate.models import Request, Turn
from curate.synthesis.drafts import Attempt, Draft, Lost, asking, prompt, whole_text
from curate.synthesis.instructions import check_instruction, cleaned
from curate.synthesis.planning import Seed

_COPIED = re.compile(
    r"given (?:prompt|instruction)|rewritten (?:prompt|instruction)|#(?:given|rewritten|new) prompt#|</?instruction>"
    r"|주어진 (?:프롬프트|지시)|고쳐 쓴 (?:프롬프트|지시|부탁)",
    re.I,
)


def attempt(seed: Seed, max_tokens: int, examples: tuple[str, ...]) -> Attempt:
    """One of the `examples`, evolved and answered."""
    given = seed.chance("instruction").choice(examples)
    reply = yield asking(prompt("evolve", seed, instruction=given), seed, 500)
    instruction = cleaned(whole_text(reply))
    check_instruction(instruction)
    if found := _COPIED.search(instruction):
        raise Lost("parsed", f"it copies {found[0]!r} from the prompt that evolves it")
    same = prompt("same", seed, first=given, second=instruction)
    reply = yield Request(turns=(Turn("user", same),), max_tokens=4, choices=("same", "different"))
    if reply.text.strip().lower() != "different":
        raise Lost("sound", "it asks for the same as what it was evolved from")
    reply = yield asking(instruction, seed, max_tokens, step=1, temperature=0.3)
    response = whole_text(reply)
    check_answer(response)
    return Draft(instruction, response, facts={"evolved_from": given})


def check_answer(response: str) -> None:
    """Raises Lost for an answer that shows that the instruction can't be answered: an apology under 80 words, or
    nothing but signs."""
    words = re.findall(r"\w+", response)
    if not words:
        raise Lost("sound", "the answer holds no word")
    if len(words) < 80 and re.search(r"\bsorry\b|죄송|유감", response, re.I):
        raise Lost("sound", "the answer is a short apology: the instruction can't be answered")
