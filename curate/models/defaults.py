"""The models that are taken where none is named, and what they need: the one place where they stand."""

import importlib.util
import shutil
import subprocess

from curate.errors import UsageError
from curate.models.opening import WAYS

SYNTH = "vllm:Qwen/Qwen3-4B-Instruct-2507"
"""Writes for `curate synth`: Apache-2.0, English, Korean and code."""

SYNTH_NEEDS = "a GPU with 12 GB, vLLM (pip install 'curate-instruct[vllm]'), and 8 GB of disk for its weights"
SYNTH_MEMORY = 11_000

SFT = "Qwen/Qwen3-0.6B-Base"
"""Trained by `curate train-sft`: Apache-2.0, English, Korean and code."""

SFT_NEEDS = "a GPU with 6 GB (on a CPU it takes hours), and 1.5 GB of disk for its weights"


def synth_model() -> str:
    """The default model of `curate synth`. Raises UsageError where it can't run, with the three ways to go on."""
    if importlib.util.find_spec("vllm") is None or _gpu_memory() < SYNTH_MEMORY:
        raise UsageError(f"no model is named, and the default one, {SYNTH}, needs {SYNTH_NEEDS}", f"--model: {WAYS}")
    return SYNTH


def _gpu_memory() -> int:
    """Megabytes of the largest GPU; 0: there is none."""
    if not shutil.which("nvidia-smi"):
        return 0
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    found = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    return max((int(value) for value in found if value.isdecimal()), default=0)
