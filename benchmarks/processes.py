"""What a whole Python process costs, from the operating system's own accounting."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(code: str, *arguments: str, python: str = sys.executable) -> tuple[float, float, int]:
    """CPU seconds of `python -c code arguments` and its children, its wall seconds and peak anonymous bytes."""
    began = time.monotonic()
    said = tempfile.TemporaryFile()  # noqa: SIM115 (not a pipe, which progress bars would fill)
    process = subprocess.Popen([python, "-c", code, *arguments], stdout=subprocess.DEVNULL, stderr=said)
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    while True:
        pid, ended, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        try:
            text = status.read_text()
            peak = max(peak, int(text.partition("RssAnon:")[2].split()[0]) * 1024)
        except (OSError, IndexError):
            pass
        time.sleep(0.01)
    if ended:
        said.seek(0)
        raise SystemExit(said.read().decode(errors="replace"))
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, peak
