"""Instructions in two ways by turns, each then answered: Self-Instruct's, from examples, and Magpie's, from nothing.

Magpie: the model goes on with the user's own turn of its chat template, begun with a word or two, and so writes what
its users write (Xu et al. 2024, arXiv 2406.08464). Self-Instruct: arXiv 2212.10560.
"""

import re

from curate.models import Turn
from curate.synthesis.drafts import Attempt, Draft, Lost, asking, prompt, whole_text
from curate.synthesis.planning import Seed

SHOWN = 6
"""Examples in a prompt; Self-Instruct shows eight."""

LONGEST = 2000
"""Characters of an instruction."""

OPENINGS = {
    "en": ("How", "What", "Why", "Write", "Explain", "Can you", "I am", "I have", "Give me", "Help me", "Compare"),
    "ko": ("저는", "제가", "왜", "어떻게", "다음", "이번에", "혹시", "두", "세", "우리", "요즘"),
}
"""How a turn begins that the model goes on with."""


def attempt(seed: Seed, max_tokens: int, examples: tuple[str, ...]) -> Attempt:
    """One instruction with its answer. `examples`: what others ask, of which some are shown."""
    if seed.attempt % 2:
        begun = seed.chance("opening").choice(OPENINGS[seed.language])
        turns = (Turn("system", prompt("turn", seed)), Turn("user", begun))
        reply = yield asking(turns, seed, 300, continues=True)
        instruction, way = begun + _rest_of_turn(reply.text), "magpie"
        if reply.finish == "length":
            raise Lost("parsed", "the user's turn was cut off")
    else:
        shown = seed.chance("examples").sample(examples, min(SHOWN, len(examples)))
        reply = yield asking(prompt("instruction", seed, examples=shown), seed, 400)
        instruction, way = whole_text(reply), "self-instruct"
    instruction = cleaned(instruction)
    check_instruction(instruction)
    reply = yield asking(instruction, seed, max_tokens, step=1, temperature=0.3)
    return Draft(instruction, whole_text(reply), facts={"way": way})


def _rest_of_turn(text: str) -> str:
    return text if text[:1] in (" ", ",", ".", "'", "?", "") else f" {text}"


def cleaned(instruction: str) -> str:
    """Without the number, name or quotation marks that models put around an instruction."""
    text = re.sub(r"^\s*(?:\d+[.)]|[-*]|#+|(?:new )?instruction\s*:|지시\s*:|부탁\s*:)\s*", "", instruction, flags=re.I)
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] + text[-1] in ('""', "“”", "''") else text


def check_instruction(instruction: str) -> None:
    """Raises Lost for what is no instruction: too short or long, or begun with a sign (Self-Instruct, section 3.2)."""
    words = len(instruction.split())
    if words < 3 or len(instruction) > LONGEST:
        raise Lost("parsed", f"the instruction has {words} words and {len(instruction):,} characters")
    if not (instruction[0].isalnum() or instruction[0] in "\"'“¿`("):
        raise Lost("parsed", f"the instruction begins with {instruction[0]!r}")
