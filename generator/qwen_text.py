"""QwenPromptReader: the published text encoder, Qwen2.5-VL's language model, asked as Qwen-Image was trained to be asked."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.checkpoint import load_network
from generator.errors import CheckpointError
from generator.options import Precision
from generator.precision import base_dtype, finish_linear
from generator.shards import Shards

TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""Published with the model (Wu et al. 2025, "Qwen-Image Technical Report", and the pipeline of diffusers)."""
DROPPED_TOKENS = 34
"""The template's own tokens before the prompt: the transformer never sees them."""
MAX_TOKENS = 1024
NO_PROMPT = " "
PREFIXES = ("model.language_model.", "language_model.model.", "model.")
UNUSED = r"(model\.)?visual\..*|(language_model\.)?lm_head\..*"
"""Of the published checkpoint: what sees pictures and what speaks."""


class QwenPromptReader:
    """Tokenizer and language model together: prompts in, states out."""

    def __init__(self, tokenizer: Any, network: nn.Module, device: torch.device) -> None:
        self.tokenizer, self.network, self.device = tokenizer, network, device

    @torch.inference_mode()
    def read(self, prompts: list[str]) -> list[Tensor]:
        """States [T, W] of each prompt, T at most 1024. One after another, so that none sees another's padding."""
        return [self._read(prompt or NO_PROMPT) for prompt in prompts]

    def _read(self, prompt: str) -> Tensor:
        ids = self.tokenizer(TEMPLATE.format(prompt), max_length=MAX_TOKENS + DROPPED_TOKENS, truncation=True,
                             return_tensors="pt").input_ids.to(self.device)                # [1, T]
        states: Tensor = self.network(input_ids=ids, use_cache=False).last_hidden_state[0, DROPPED_TOKENS:]
        return states


def load_qwen_reader(folder: Path, tokenizer_folder: Path, device: str | torch.device = "cpu",
                     precision: Precision = "float32") -> QwenPromptReader:
    """The language model in `folder` and its tokenizer; the visual half is not loaded. Raises CheckpointError."""
    import re

    from transformers import AutoTokenizer, Qwen2_5_VLConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

    if not tokenizer_folder.is_dir():
        raise CheckpointError(f"{tokenizer_folder}: no such folder; the tokenizer lies there")
    try:
        config = Qwen2_5_VLConfig.from_pretrained(folder, local_files_only=True).text_config
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
    except Exception as exc:  # the libraries raise many kinds for damaged files
        raise CheckpointError(f"{folder} or {tokenizer_folder}: not a Qwen2.5-VL text encoder: {exc}") from exc
    config._attn_implementation = "sdpa"
    shards = Shards.in_folder(folder)
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}embed_tokens.weight" in shards.shapes), None)
    if prefix is None:
        raise CheckpointError(f"{folder}: tensor model.embed_tokens.weight is missing")
    network = load_network(folder, lambda: Qwen2_5_VLTextModel(config), shards, ((r"(.+)", prefix + r"\1"),), device=device,
                           dtype=base_dtype(precision), unused=re.compile(UNUSED),
                           finish=lambda layer: finish_linear(layer, precision) if isinstance(layer, nn.Linear) else layer)
    network.rotary_emb = type(network.rotary_emb)(config=config).to(device)  # its tables are computed, not stored
    return QwenPromptReader(tokenizer, network.requires_grad_(False), torch.device(device))
