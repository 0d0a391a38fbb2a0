"""A judge that can be learnt: it scores the share of a lesson's words among those of lessons and of sales."""

import math
import random
from typing import Any

from chat_server import with_logprobs

LESSON = ("theorem", "proof", "lemma", "axiom", "gradient", "enzyme", "integral", "isotope")
SALES = ("cheap", "discount", "bargain", "prize", "hurry", "casino", "coupon", "jackpot")


def lesson_judge(body: dict[str, Any], _: int) -> dict[str, Any]:
    """5 for words of lessons alone, 0 for words of sales alone; `mumble`: no label."""
    text = body["messages"][-1]["content"]
    if "mumble" in text.split():
        return with_logprobs({"Well": -0.01})
    worth = lesson_score(text)
    low = min(int(worth), 4)
    shares = {str(low): 1 - (worth - low), str(low + 1): worth - low}
    return with_logprobs({label: math.log(share) for label, share in shares.items() if share > 1e-9})


def lesson_score(text: str) -> float:
    words = text.split()
    good, poor = (sum(word in kind for word in words) for kind in (LESSON, SALES))
    return 5 * good / max(good + poor, 1)


def lesson_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Rows of 12 words of lessons and sales, among others; most are mostly of one kind."""
    chance = random.Random(seed)
    rows = []
    for k in range(count):
        good = chance.choice([0, 1, 2, 6, 10, 11, 12])
        words = [chance.choice(LESSON) for _ in range(good)] + [chance.choice(SALES) for _ in range(12 - good)]
        words += ["".join(chance.choices("abcdefghijklmnop", k=6)) for _ in range(20)]
        chance.shuffle(words)
        rows.append((f"{''.join(chance.choices('abcdefghijklmnop', k=8))} {k}?", " ".join(words)))
    return rows
