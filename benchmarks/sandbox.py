"""What isolation costs: figures for docs/costs.md. Linux only; CURATE_TEST_DATA names the data.

`python benchmarks/sandbox.py` times a bare start of Python, an isolated run, and an exercise with all its mutants; runs
HumanEval's reference solutions and the same emptied; counts what `--runs` runs leave behind; and says how many of the
mutants the tests of known exercises fail for, of which `KILLED` in `curate/synthesis/exercises.py` is chosen.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "synthesis"))

from known_exercises import humaneval, mbpp

from curate.sandbox import Sandbox
from curate.synthesis.drafts import Lost
from curate.synthesis.exercises import MUTANT_SECONDS, Exercise, check
from curate.synthesis.mutants import mutants

DATA = Path(os.environ.get("CURATE_TEST_DATA", "."))


def middle(times: int, work: object) -> float:
    """Milliseconds, the middle of so many times."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()  # type: ignore[operator]
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def held() -> tuple[int, int, int]:
    """Processes of this machine, open handles of this one, mounts."""
    processes = len(list(Path("/proc").glob("[0-9]*")))
    mounts = len(Path("/proc/self/mounts").read_text().splitlines())
    return processes, len(list(Path("/proc/self/fd").iterdir())), mounts


def killed(exercise: Exercise, sandbox: Sandbox) -> float:
    """The share of an exercise's mutants, the empty one left out, that its tests fail for."""
    texts = mutants(exercise.solution, exercise.name)[1:]
    dead = [
        not sandbox.run(text, exercise.tests, names=(exercise.name,), seconds=MUTANT_SECONDS).passed for text in texts
    ]
    return sum(dead) / len(dead) if dead else 1.0


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--runs", type=int, default=1000)
    given.add_argument("--exercises", type=int, default=60, help="of MBPP, for the share of mutants that are killed")
    asked = given.parse_args()
    bare = middle(20, lambda: subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True))
    began = time.perf_counter()
    with Sandbox() as sandbox:
        opened = 1000 * (time.perf_counter() - began)

        def run() -> None:
            assert sandbox.run("def double(x): return 2 * x", ["assert double(3) == 6"]).passed

        one = middle(100, run)
        print(f"python -I -S -c pass {bare:.1f} ms; isolated run {one:.1f} ms; opening a sandbox {opened:.0f} ms")
        before, began = held(), time.perf_counter()
        for _ in range(asked.runs):
            run()
        rate = asked.runs / (time.perf_counter() - began)
        after = held()
        print(f"{asked.runs:,} runs, {rate:.0f} a second; processes, handles, mounts before {before}, after {after}")
        known = list(humaneval(DATA))
        began = time.perf_counter()
        right = sum(sandbox.run(each.solution, each.tests, names=(each.name,)).passed for each in known)
        emptied = [mutants(each.solution, each.name)[0] for each in known]
        wrong = sum(
            sandbox.run(text, each.tests, names=(each.name,)).passed for each, text in zip(known, emptied, strict=True)
        )
        seconds = time.perf_counter() - began
        print(f"HumanEval: {right} of {len(known)} pass, {wrong} of them emptied pass, {seconds:.0f} s")
        began, accepted = time.perf_counter(), 0
        some = list(islice(mbpp(DATA), asked.exercises))
        for exercise in some:
            try:
                check(exercise, sandbox)
                accepted += 1
            except Lost:
                pass
        each = (time.perf_counter() - began) / len(some)
        print(f"{accepted} of {len(some)} of MBPP accepted, {1000 * each:.0f} ms an exercise with its mutants")
        shares = [killed(exercise, sandbox) for exercise in some]
    for bar in (0.5, 0.6, 0.7):
        print(f"{sum(share < bar for share in shares)} of {len(shares)} kill less than {bar:g} of their mutants")


if __name__ == "__main__":
    main()
