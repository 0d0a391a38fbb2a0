"""Real models for the tests: SmolLM2-135M in this process by vLLM and by transformers, and behind vLLM's own server.

One engine in the process and one server a session, since each takes a minute to load.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real_models.small_models import minilm, smollm2

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let vLLM, torch and transformers warn of themselves."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The folder of SmolLM2-135M-Instruct."""
    return smollm2()


@pytest.fixture(scope="session")
def sentence_model() -> Path:
    """The folder of all-MiniLM-L6-v2."""
    return minilm()


@pytest.fixture(scope="session")
def vllm_server(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real OpenAI-compatible server, as `http://HOST:PORT/v1#NAME`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(small_model)]
    command += ["--served-model-name", "small", "--port", str(port), "--host", "127.0.0.1", "--enforce-eager"]
    command += ["--max-model-len", "4096", "--dtype", "float32"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_LOGGING_LEVEL": "WARNING"}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + 400
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1#small"
    finally:
        process.terminate()
        process.wait(30)
