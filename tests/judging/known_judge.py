"""A judge whose belief is written in the row, for the server of the tests to answer by."""

import math
import re
from typing import Any

from chat_server import with_logprobs


def known_judge(body: dict[str, Any], _: int) -> dict[str, Any]:
    """Scores the number after `worth` in a row; where the labels are reversed, 0.2 of its belief is a point higher.

    `mumble`: it answers with no label. Of a pair it believes 0.7 in the first answer, 0.94 if that one says `better`.
    """
    belief = _belief(body["messages"][-1]["content"])
    return with_logprobs({label: math.log(share) for label, share in belief.items()})


def _belief(asked: str) -> dict[str, float]:
    if "mumble" in asked:
        return {"Well": 0.99, "Hm": 0.01}
    if pair := re.search(r"(?s)\[first answer: (\w)\](.*)\[second answer: (\w)\]", asked):
        share = 0.94 if "better" in pair[2] else 0.7
        return {pair[1]: share, pair[3]: 1 - share}
    found = re.search(r"worth (\d)", asked)
    worth = int(found[1]) if found else 0
    if "5, 4, 3, 2, 1, 0" in asked and worth < 5:
        return {str(worth): 0.8, str(worth + 1): 0.2}
    return {str(worth): 1.0}
