"""Models behind one interface: requests in, replies out, every raw reply kept.

>>> from curate.models import Request, Turn, ask
>>> dict(ask("http://localhost:8000/v1#m", [("a", Request(turns=(Turn("user", "Hi"),), max_tokens=8))], work, working))
"""

from curate.models.asking import ask, known_share
from curate.models.opening import WAYS, check_model, forget_model, identity_of, open_model
from curate.models.requests import Failure, Reply, Request, Turn

__all__ = [
    "WAYS",
    "Failure",
    "Reply",
    "Request",
    "Turn",
    "ask",
    "check_model",
    "forget_model",
    "identity_of",
    "known_share",
    "open_model",
]
