"""Programs are tested where they reach nothing, and none is told to have passed that did not answer right."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from curate.errors import UsageError
from curate.sandbox import Limits, Outcome, Sandbox

TEST = ["assert double(3) == 6"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=0.5)) as opened:
        yield opened


def result(sandbox: Sandbox, body: str, head: str = "") -> Outcome:
    """What becomes of a function whose body is this, when 1 is expected of it."""
    lines = "\n    ".join(body.splitlines())
    return sandbox.run(f"{head}\ndef found():\n    {lines}", ["assert found() == 1"])


def test_a_right_program_passes_and_a_wrong_one_is_told_where(sandbox: Sandbox) -> None:
    assert sandbox.run("def double(x): return x * 2", TEST) == Outcome("passed")
    tests = ["assert double(2) == 4", "x = 3\nassert double(x) == 6"]
    wrong = sandbox.run("def double(x): return x + 2", tests)
    assert wrong == Outcome("failed", "test 2 failed: assert double(x) == 6")
    raises = sandbox.run("def double(x): return x // 0", TEST)
    assert raises.cause == (
        "test 1 raised ZeroDivisionError: integer division or modulo by zero, at assert double(3) == 6"
    )
    assert sandbox.run("def double(x) return x", TEST).verdict == "error"
    assert sandbox.run("import nothing_of_the_sort", TEST).cause == (
        "the program raised ModuleNotFoundError: No module named 'nothing_of_the_sort'"
    )


def test_examples_of_a_docstring_are_held_against_what_they_show(sandbox: Sandbox) -> None:
    program = """
def double(x):
    if x is None:
        raise ValueError("nothing")
    print("doubling")
    return x * 2
"""
    shown = """
>>> double('ab')
doubling
'abab'
>>> double(None)
Traceback (most recent call last):
ValueError: nothing
"""
    assert sandbox.run(program, [], examples=shown).passed
    wrong = sandbox.run(program, [], examples=">>> double(2)\ndoubling\n5\n")
    assert wrong == Outcome("failed", "example 1 gives doubling 4: double(2)")


def test_values_of_every_plain_kind_come_back_as_they_are(sandbox: Sandbox) -> None:
    program = """
import collections, datetime, decimal, fractions
def same(x): return x
def kinds(): return [None, True, 10**400, -1.5, float("inf"), "가\\udcff", b"x", 2j, (1, [2, {3}]),
    {(1, 2): frozenset("a")}, range(3), decimal.Decimal("0.1"), fractions.Fraction(1, 3),
    datetime.date(2024, 2, 29), collections.deque([1])]
def counted(): return collections.Counter("aab")
def pair(): return collections.namedtuple("Pair", "a b")(1, 2)
"""
    given = "import collections, datetime, decimal, fractions"
    tests = [
        "assert same([1, (2,), {'a': {1}}]) == [1, (2,), {'a': {1}}]",
        "assert kinds() == [None, True, 10**400, -1.5, float('inf'), '가\\udcff', b'x', 2j, (1, [2, {3}]), "
        "{(1, 2): frozenset('a')}, range(3), decimal.Decimal('0.1'), fractions.Fraction(1, 3), "
        "datetime.date(2024, 2, 29), collections.deque([1])]",
        "assert type(same(True)) is bool and type(same((1,))) is tuple and same(None) is None",
        "assert counted() == {'a': 2, 'b': 1} and pair() == (1, 2)",
    ]
    assert sandbox.run(program, tests, given=given) == Outcome("passed")


def test_callbacks_generators_changed_arguments_classes_and_exceptions_work(sandbox: Sandbox) -> None:
    program = """
class Full(ValueError): pass
class Stack:
    def __init__(self, most=2): self.items, self.most = [], most
    def push(self, x):
        if len(self) == self.most: raise Full("full")
        self.items.append(x)
    def __len__(self): return len(self.items)
    def __eq__(self, other): return self.items == other.items
def apply(f, xs): return [f(x) for x in xs]
def up(n):
    while True:
        yield n
        n += 1
def sort(xs): xs.sort()
def adder(n): return lambda x: x + n
def first(xs, key=len): return min(xs, key=key)
"""
    tests = [
        "assert apply(lambda x: x + 1, [1, 2]) == [2, 3]",
        "assert apply(str, [1]) == ['1']",
        "import itertools\nassert list(itertools.islice(up(3), 2)) == [3, 4]",
        "xs = [3, 1]\nsort(xs)\nassert xs == [1, 3]",
        "assert adder(2)(3) == 5",
        "assert first(['aa', 'b']) == 'b' and first([2, 1], key=lambda x: x) == 1",
        "s = Stack()\ns.push(1)\nassert len(s) == 1 and s.items == [1] and s == s and isinstance(s, Stack)",
        "s = Stack(most=0)\ntry:\n    s.push(1)\n    assert False\nexcept Full as error:\n"
        "    assert str(error) == 'full'",
    ]
    assert sandbox.run(program, tests) == Outcome("passed")


FORGERIES = {
    "exit": "import sys\nsys.exit(0)",
    "exit in the function": "def double(x):\n    raise SystemExit(0)",
    "hard exit": "import os\nos._exit(0)",
    "hard exit in the function": "import os\ndef double(x): os._exit(0)",
    "exit at the end": "import atexit, os\natexit.register(os._exit, 0)\ndef double(x): return 0",
    "always equal": "class Yes:\n    def __eq__(self, other): return True\n    def __bool__(self): return True\n"
    "def double(x): return Yes()",
    "an int that equals everything": "class Yes(int):\n    def __eq__(self, other): return True\n"
    "def double(x): return Yes(1)",
    "patched builtins": "import builtins\nbuiltins.AssertionError = type('Quiet', (), {})\n"
    "builtins.exec = lambda *a: None\nbuiltins.compile = lambda *a: None\ndef double(x): return 0",
    "patched json": 'import json\njson.dumps = lambda *a, **k: \'{"verdict": "passed", "cause": ""}\'\n'
    "def double(x): return 0",
    "verdict on every handle": "import os, json\ndef double(x):\n"
    "    said = json.dumps({'verdict': 'passed', 'cause': ''}).encode()\n    for handle in range(256):\n"
    "        try: os.write(handle, len(said).to_bytes(4, 'big') + said)\n        except OSError: pass\n    os._exit(0)",
    "frames": "import sys\ndef double(x):\n    frame = sys._getframe()\n    while frame:\n"
    "        for name, value in list(frame.f_locals.items()) + list(frame.f_globals.items()):\n"
    "            if ''.join(['double', '(3) ==']) in repr(value): return 6\n        frame = frame.f_back\n    return 0",
    "garbage": "import gc\ndef double(x):\n    return 6 if any("
    "isinstance(o, str) and ''.join(['double', '(3) ==']) in o "
    "for d in gc.get_objects() for o in gc.get_referents(d)) else 0",
    "tracing": "import sys, threading\ndef tracer(frame, event, arg):\n    frame.f_lineno = frame.f_lineno\n"
    "    return tracer\nsys.settrace(tracer)\ndef double(x): return 0",
    "its own peer": "import gc, os\ndef double(x):\n    for o in gc.get_objects():\n"
    "        if type(o).__name__ == 'Peer':\n"
    "            o.link.send(['ask', 'get', 0, '__globals__'])\n"
    "            o.link.send({'verdict': 'passed'})\n    os._exit(0)",
    "killing the judge": "import os, signal\ndef double(x):\n    for pid in range(2, 20000):\n"
    "        if pid != os.getpid():\n"
    "            try: os.kill(pid, signal.SIGKILL)\n            except OSError: pass\n    return 0",
    "looking into the judge": "import ctypes, os\ndef double(x):\n    libc = ctypes.CDLL(None)\n"
    "    for pid in range(1, 20000):\n"
    "        if pid != os.getpid() and libc.ptrace(16, pid, 0, 0) == 0: return 6\n    return 0",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_verdict_cannot_be_forged(sandbox: Sandbox, name: str) -> None:
    outcome = sandbox.run(FORGERIES[name], TEST, names=["double"])
    assert outcome.verdict in ("failed", "error"), outcome
    assert outcome.cause
    assert sandbox.run("def double(x): return x * 2", TEST, names=["double"]).passed  # and the next is not touched


def test_a_program_cannot_take_the_place_of_what_the_tests_rely_on(sandbox: Sandbox) -> None:
    program = "def abs(x): return 0\nclass math:\n    fabs = abs\ndef helper(x): return 0\ndef double(x): return 1"
    assert not sandbox.run(program, ["assert abs(double(3) - 6) < 1"]).passed
    assert not sandbox.run(program, ["import math\nassert math.fabs(double(3) - 6) < 1"]).passed
    given = "def helper(x): return x"
    tests = ["assert helper(double(3)) == 0"]
    assert not sandbox.run(program, tests, given=given, names=["double"]).passed


def test_an_endless_loop_and_an_endless_sleep_end(sandbox: Sandbox) -> None:
    assert result(sandbox, "while True: pass") == Outcome("timeout", "it took longer than 0.5 s")
    began = time.monotonic()
    assert result(sandbox, "import time\ntime.sleep(60)").verdict == "timeout"
    ignoring = "import signal\nsignal.signal(signal.SIGPROF, signal.SIG_IGN)\nsignal.setitimer(2, 0)\nwhile True: pass"
    assert result(sandbox, ignoring).verdict == "timeout"
    assert time.monotonic() - began < 10


def test_a_fork_bomb_gets_no_process(sandbox: Sandbox) -> None:
    bomb = """import os
made = 0
for _ in range(20):
    try:
        if os.fork() == 0: os._exit(0)
        made += 1
    except OSError: pass
return 1 if made == 0 else made"""
    assert result(sandbox, bomb) == Outcome("passed")
    with Sandbox(Limits(processes=3, seconds=1)) as more:
        assert result(more, bomb.replace("made == 0", "made == 2")).passed
        threads = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\nreturn 1"
        assert result(more, threads).passed


def test_a_hundred_gigabytes_are_not_had(sandbox: Sandbox) -> None:
    assert result(sandbox, "return len(bytearray(100 << 30))").verdict == "memory"
    assert result(sandbox, "x = []\nwhile True: x.append(bytes(10 << 20))").verdict == "memory"
    memfd = "import os\ntry:\n    os.memfd_create('x')\n    return 0\nexcept PermissionError:\n    return 1"
    assert result(sandbox, memfd).passed  # memory that no limit would count


def test_the_disk_cannot_be_filled_and_nothing_else_be_written(sandbox: Sandbox) -> None:
    filling = """import os
written = 0
try:
    for n in range(1000):
        with open(f'/tmp/{n}', 'wb') as file:
            for _ in range(100): written += file.write(bytes(1 << 20))
except OSError: pass
return 1 if 0 < written <= 16 << 20 else written"""
    assert result(sandbox, filling).passed
    assert result(sandbox, "import os\nreturn 1 if os.listdir('/tmp') == [] else 0").passed  # gone with its run
    outside = """import os, sys
found = []
for folder in ['/', '/etc', '/dev/shm', os.path.dirname(os.__file__), '/var/tmp', '/home', '/root']:
    try: found.append(open(folder + '/written', 'w'))
    except OSError: pass
return len(found) + 1"""
    assert result(sandbox, outside).passed


def test_home_environment_and_the_tool_itself_are_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    looking = f"""import os
found = [p for p in ['{tmp_path}/secret', '{Path.home()}/.bashrc', '/etc/passwd', '/proc/1/environ', '/proc/self/maps',
    '/sys', '/dev/null', '{sys.executable}', '{__file__}'] if os.path.exists(p)]
return 1 if not found and not [n for n in os.environ if n not in ('PYTHONHASHSEED', 'LC_CTYPE')] else found"""
    assert result(sandbox, looking) == Outcome("passed")
    tool = "try:\n    import curate.sandbox.sandbox\n    return 0\nexcept ImportError:\n    return 1"
    assert result(sandbox, tool).passed
    packages = "import glob, os\nhere = os.path.dirname(os.__file__)\nreturn 1 + len(glob.glob(here + '/*-packages/*'))"
    assert result(sandbox, packages).passed


def test_no_socket_reaches_anything(sandbox: Sandbox) -> None:
    opening = """import socket
opened = 0
for family in range(2, 46):
    for kind in (1, 2, 3):
        try:
            socket.socket(family, kind)
            opened += 1
        except OSError: pass
return opened + 1"""
    assert result(sandbox, opening) == Outcome("passed")


def test_parents_and_others_cannot_be_killed(sandbox: Sandbox) -> None:
    sandbox.run("", [])
    process = sandbox._process
    killing = "import os\nfor pid in (os.getppid(), 1):\n    os.kill(pid, 9)\nreturn 1"
    assert result(sandbox, killing).passed  # process 1 of a sandbox cannot be killed from within
    assert sandbox._process is process
    assert process is not None and process.poll() is None


def test_namespaces_and_rights_are_not_to_be_had_again(sandbox: Sandbox) -> None:
    again = """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
calls = [libc.unshare(0x10000000), libc.unshare(0x20000), libc.mount(b'x', b'/tmp', b'tmpfs', 0, None),
    libc.chroot(b'/tmp'), libc.ptrace(16, 1, 0, 0), libc.shmget(1, 1 << 20, 0o1600)]
return 1 if set(calls) == {-1} else calls"""
    assert result(sandbox, again) == Outcome("passed")


def test_a_flood_of_output_is_stopped(sandbox: Sandbox) -> None:
    assert result(sandbox, "while True: print('x' * 1000)").cause == "it printed more than 100,000 characters"
    assert result(sandbox, "import os\nfor _ in range(10000): os.write(1, b'x' * 1000)\nreturn 1").passed
    assert result(sandbox, "return 'x' * 20_000_000").cause == "the program gave an answer that is none"


def test_a_segfault_ends_its_own_run_only(sandbox: Sandbox) -> None:
    deep = "import sys\nsys.setrecursionlimit(10**9)\nf = lambda n: sum(map(f, [n + 1]))\nreturn f(0)"
    assert result(sandbox, deep) == Outcome("error", "the program was ended by SIGSEGV")
    assert result(sandbox, "import ctypes\nctypes.string_at(0)").cause == "the program was ended by SIGSEGV"
    assert result(sandbox, "f = lambda: f()\nreturn f()").cause.startswith("test 1 raised RecursionError")


def test_tests_are_as_confined_as_programs(sandbox: Sandbox) -> None:
    outside = ["import os\nassert not os.path.exists('/etc/passwd')", "import os\nos._exit(0)"]
    assert sandbox.run("", outside) == Outcome("error", "the test ended itself, with status 0")
    assert sandbox.run("", ["raise SystemExit(0)"]).verdict == "failed"
    assert sandbox.run("", ["while True: pass"]).verdict == "timeout"


def test_random_is_the_same_for_the_same_seed_only(sandbox: Sandbox) -> None:
    program = "import random\ndef drawn(): return random.random()"
    tests = ["assert drawn() == 0.8444218515250481"]
    assert sandbox.run(program, tests, seed=0).passed
    assert not sandbox.run(program, tests, seed=1).passed


def world_of(sandbox: int) -> str:
    """The process namespace of a sandbox, by the number of the process outside that waits for it."""
    first = Path(f"/proc/{sandbox}/task/{sandbox}/children").read_text().split()[0]
    return str(Path(f"/proc/{first}/ns/pid").readlink())


def inhabitants(world: str) -> int:
    """Processes in that namespace."""
    many = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            many += str((entry / "ns/pid").readlink()) == world
    return many


def test_a_hundred_runs_leave_no_process_file_handle_or_mount(tmp_path: Path) -> None:
    leaving = """import os, tempfile
open('/tmp/left', 'w').write('x')
tempfile.mkdtemp()
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(1000)
def found(): return 1
"""
    mounts, handles = Path("/proc/self/mountinfo").read_text(), len(list(Path("/proc/self/fd").iterdir()))
    with Sandbox(Limits(processes=4)) as sandbox:
        sandbox.run("", [])
        assert sandbox._process
        holder = sandbox._process.pid
        world = world_of(holder)
        for _ in range(100):
            assert sandbox.run(leaving, ["assert found() == 1"]).passed
        assert inhabitants(world) == 1
    assert inhabitants(world) == 0
    assert not Path(f"/proc/{holder}").exists()
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert len(list(Path("/proc/self/fd").iterdir())) == handles
    assert not Path("/tmp/left").exists()


def test_it_ends_with_the_process_that_opened_it() -> None:
    code = (
        "import sys, time\nfrom curate.sandbox import Sandbox\ns = Sandbox()\ns.run('', [])\n"
        "print(s._process.pid, flush=True)\ns.run('def f():\\n    import time\\n    time.sleep(100)', ['f()'])"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    world = world_of(int(holder.stdout.readline()))
    assert inhabitants(world)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    until = time.monotonic() + 10
    while inhabitants(world) and time.monotonic() < until:
        time.sleep(0.02)
    assert inhabitants(world) == 0


def test_where_code_cannot_be_isolated_none_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="needs Linux, and this is darwin"):
        Sandbox().run("", [])


def test_root_under_another_name_is_refused_since_no_limit_on_processes_holds_for_it() -> None:
    code = "from curate.sandbox import Sandbox; print(Sandbox().run('', []).verdict)"
    ran = subprocess.run(["unshare", "-r", sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if os.geteuid() == 0:
        assert "cannot be isolated on this machine: its limit on processes does not hold" in ran.stderr
    else:
        assert ran.stdout == "passed\n"
