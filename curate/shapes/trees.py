"""OASST trees: a question, its answers as people ranked them, the questions that follow.

A tree of a question with two answers is two conversations, or one preference pair. Messages that were deleted or that
reviewers turned down are left out, and what follows them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from curate.records import Message, Row, UnreadableRecord

ROLES = {"prompter": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class _Node:
    """A message, the turns up to it and itself, its rank among its siblings (0: best), and the replies that stand."""

    turns: tuple[Message, ...]
    rank: int | None
    replies: list["_Node"]


def conversations(record: dict[str, Any]) -> list[Row]:
    """Each way through a tree, up to its last answer. Raises UnreadableRecord where there is none."""
    meta = {name: value for name, value in record.items() if name != "prompt"}
    rows = []
    for node in _every(_tree(record["prompt"], ())):
        if node.turns[-1].role == "assistant" and not any(reply.replies for reply in node.replies):
            rank = {} if node.rank is None else {"rank": node.rank}
            rows.append(Row("oasst", node.turns, meta=meta | rank))
    if not rows:
        raise UnreadableRecord("the tree has no answer")
    return rows


def pairs(record: dict[str, Any]) -> list[Row]:
    """Of each question whose answers people ranked the best and each worse one. Raises UnreadableRecord: none."""
    meta = {name: value for name, value in record.items() if name != "prompt"}
    rows = []
    for node in _every(_tree(record["prompt"], ())):
        ranked = [(reply.rank, reply.turns) for reply in node.replies if reply.rank is not None]
        ranked.sort(key=lambda answer: answer[0])
        for rank, worse in ranked[1:]:
            if rank > ranked[0][0]:
                best = ranked[0][1]
                rows.append(Row("oasst-pairs", best, best[-1:], worse[-1:], meta=meta))
    if not rows:
        raise UnreadableRecord("the tree has no ranked answers")
    return rows


def _tree(node: Any, before: tuple[Message, ...]) -> _Node | None:
    if not isinstance(node, dict) or not isinstance(node.get("text"), str) or node.get("role") not in ROLES:
        raise UnreadableRecord("a message of the tree has no text, or a role other than prompter and assistant")
    if node.get("deleted") is True or node.get("review_result") is False:
        return None
    turns = (*before, Message(ROLES[node["role"]], node["text"]))
    rank = node.get("rank")
    replies = [_tree(reply, turns) for reply in node.get("replies") or []]
    return _Node(
        turns,
        None if rank is None else int(orjson.loads(orjson.dumps(rank))),
        [reply for reply in replies if reply is not None],
    )


def _every(node: _Node | None) -> Iterator[_Node]:
    if node is not None:
        yield node
        for reply in node.replies:
            yield from _every(reply)
