"""Exercises as the model writes them: JSON in, an `Exercise` out, and a second try with what was wrong, if asked.

`{"signature": "def double(x: int) -> int:", "docstring": "...", "solution": "...", "tests": ["assert ..."]}`
"""

from queue import SimpleQueue
from typing import Any

import orjson

from curate.code.alike import functions_in
from curate.models import Turn
from curate.sandbox import Sandbox
from curate.synthesis.drafts import Attempt, Draft, Lost, asking, prompt, whole_text
from curate.synthesis.exercises import Exercise, check
from curate.synthesis.planning import Seed

FIELDS = ("signature", "docstring", "solution", "tests")
TEXT = {"type": "string", "minLength": 1}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(FIELDS[:3], TEXT),
        "tests": {"type": "array", "items": TEXT, "minItems": 3, "maxItems": 12},
    },
    "required": list(FIELDS),
    "additionalProperties": False,
}
"""What the model is held to, where its server or engine can do that."""


def attempt(seed: Seed, max_tokens: int, free: SimpleQueue[Sandbox], structured: bool, repair: bool) -> Attempt:
    """One exercise. `free`: sandboxes that nobody uses; `structured`: the model can be held to JSON; `repair`: it may
    mend what was wrong, once."""
    more: dict[str, Any] = {"schema": SCHEMA} if structured else {}
    asked = prompt("exercise", seed, examples=seed.topic.examples)
    reply = yield asking(asked, seed, max_tokens, **more)
    tries = 1
    try:
        exercise = _proven(whole_text(reply), free)
    except Lost as lost:
        if not repair or reply.finish == "length":
            raise
        tries, reason = 2, prompt("repair", seed, reason=lost.reason)
        turns = (Turn("user", asked), Turn("assistant", reply.text), Turn("user", reason))
        reply = yield asking(turns, seed, max_tokens, step=1, **more)
        exercise = _proven(whole_text(reply), free)
    return Draft(exercise.instruction, exercise.solution, functions_in(exercise.solution), {"tries": tries})


def _proven(text: str, free: SimpleQueue[Sandbox]) -> Exercise:
    exercise = read_exercise(text)
    sandbox = free.get()
    try:
        check(exercise, sandbox)
    finally:
        free.put(sandbox)
    return exercise


def read_exercise(text: str) -> Exercise:
    """The exercise in an answer: the outermost JSON object. Raises Lost where there is none with all four fields."""
    start, end = text.find("{"), text.rfind("}")
    try:
        given = orjson.loads(text[start : end + 1])
    except orjson.JSONDecodeError as error:
        raise Lost("parsed", f"the answer is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise Lost("parsed", "the answer is no JSON object")
    for name in FIELDS[:3]:
        if not isinstance(given.get(name), str) or not given[name].strip():
            raise Lost("parsed", f"{name} is missing or no text")
    tests = given.get("tests")
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise Lost("parsed", "tests is missing or no list of texts")
    return Exercise(given["signature"].strip(), given["docstring"].strip(), given["solution"].strip(), tuple(tests))
