"""Where code that nobody has read runs: cut off from the machine, bounded, and judged from outside of its process.

>>> from curate.sandbox import Sandbox
>>> with Sandbox() as sandbox:
...     sandbox.run("def double(x): return x + 2", ["assert double(3) == 6"])
Outcome(verdict='failed', cause='test 1 failed: assert double(3) == 6')
"""

from curate.sandbox.sandbox import Limits, Outcome, Sandbox

__all__ = ["Limits", "Outcome", "Sandbox"]
