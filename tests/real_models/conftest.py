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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curate.models import forget_model
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
def hf_model(small_model: Path) -> Iterator[str]:
    """The small model by transformers, loaded once a session."""
    yield f"hf:{small_model}"
    forget_model(f"hf:{small_model}")


@pytest.fixture(scope="session")
def vllm_model(small_model: Path) -> Iterator[str]:
    """The small model in vLLM's engine of this process, loaded once a session."""
    yield f"vllm:{small_model}"
    forget_model(f"vllm:{small_model}")


@pytest.fixture(scope="session")
def network(small_model: Path) -> Any:
    """The small model's tokenizer and weights, by transformers alone: what our own figures are held against."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(small_model, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(small_model), model.eval()


@dataclass
class StartedServer:
    """A process that becomes vLLM's own server in a minute."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path


@pytest.fixture(scope="session")
def started_server(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedServer]:
    """Asked for by those who will want `vllm_server` later: it starts while other tests run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(small_model)]
    command += ["--served-model-name", "small", "--port", str(port), "--host", "127.0.0.1", "--enforce-eager"]
    command += ["--max-model-len", "4096", "--dtype", "float32"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_LOGGING_LEVEL": "WARNING"}
    environment["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"  # else one of two cores is kept free
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        yield StartedServer(process, port, log)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def vllm_server(started_server: StartedServer) -> str:
    """A real OpenAI-compatible server, as `http://HOST:PORT/v1#NAME`."""
    deadline = time.monotonic() + 400
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{started_server.port}/health", timeout=2).close()
            return f"http://127.0.0.1:{started_server.port}/v1#small"
        except OSError:
            still = started_server.process.poll() is None and time.monotonic() < deadline
            assert still, started_server.log.read_text()[-3000:]
            time.sleep(1)
