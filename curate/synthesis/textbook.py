"""Sections of textbooks: what a learner asks for, then a section that explains, shows one example, and asks back.

The request and the section are two answers of the model, so that the section is written for the request alone.
"""

import re

from curate.synthesis.drafts import Attempt, Draft, Lost, asking, prompt, whole_text
from curate.synthesis.planning import Seed

PARTS = {"en": ("Explanation", "Worked example", "Questions"), "ko": ("설명", "예제", "물음")}
"""The headings that a section must have, in order."""

LEAST = {"en": 600, "ko": 300}
"""Characters below which a section explains nothing."""

LONGEST_REQUEST = 600


def attempt(seed: Seed, max_tokens: int) -> Attempt:
    """One section; `max_tokens`: how long it may become."""
    reply = yield asking(prompt("textbook", seed, examples=seed.topic.examples), seed, 160)
    request = whole_text(reply).strip("\"'“” ")
    if len(request) > LONGEST_REQUEST or "\n\n" in request:
        raise Lost("parsed", f"the request has {len(request):,} characters or several paragraphs: it is no request")
    reply = yield asking(prompt("section", seed, request=request), seed, max_tokens, step=1)
    section = whole_text(reply)
    check_parts(section, seed.language)
    return Draft(request, section)


def check_parts(section: str, language: str) -> None:
    """Raises Lost where the section is short, or where its three parts are not there, filled, in order."""
    if len(section) < LEAST[language]:
        raise Lost("parsed", f"the section has {len(section):,} characters, fewer than {LEAST[language]:,}")
    rest = section
    for part in PARTS[language]:
        found = re.search(rf"(?im)^[#*\s]*{part}\b[^\n]*\n(?=\s*\S)", rest)
        if not found:
            raise Lost("parsed", f"the section has no part {part!r}")
        rest = rest[found.end() :]
    if len(re.findall(r"[?？]|(?m:^\s*\d+[.)])", rest)) < 2:
        raise Lost("parsed", "its last part asks fewer than two questions")
