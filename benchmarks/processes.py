"""What a whole Python process costs, from the operating system's own accounting."""

import os
import subprocess
import sys
import time
from pathlib import Path


def measure(code: str, *arguments: str) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and peak anonymous bytes of `python -c code arguments` and its children."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
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
        raise SystemExit(process.stderr.read().decode() if process.stderr else "failed")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, peak
