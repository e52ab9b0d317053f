"""Tiny seeded checkpoints of every family, written by transformers, and what transformers generates with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

VOCAB = 96
_USUAL = 20  # tokens that most tests ask for at most
_SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GPT: dict[str, Any] = {
    "vocab_size": VOCAB,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def _llama(**more: Any) -> transformers.PretrainedConfig:
    return transformers.LlamaConfig(**{**_SMALL, **more})


def _rope(kind: str, **more: Any) -> transformers.PretrainedConfig:
    return _llama(rope_scaling={"rope_type": kind, "rope_theta": 10000.0, **more})


FAMILIES: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "llama": _llama,
    "llama-mqa-tied": lambda: _llama(num_key_value_heads=1, tie_word_embeddings=True),
    "llama-biased": lambda: _llama(attention_bias=True, mlp_bias=True, head_dim=12),
    "llama-linear": lambda: _rope("linear", factor=2.0),
    "llama-dynamic": lambda: _rope("dynamic", factor=2.0),
    "llama-yarn": lambda: _rope("yarn", factor=4.0, original_max_position_embeddings=64),
    "llama-llama3": lambda: _rope(
        "llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,
    ),
    "mistral": lambda: transformers.MistralConfig(**_SMALL, sliding_window=9),
    "qwen2": lambda: transformers.Qwen2Config(
        **_SMALL, use_sliding_window=True, sliding_window=9, max_window_layers=1
    ),
    "qwen3": lambda: transformers.Qwen3Config(**_SMALL, head_dim=16),
    "phi3": lambda: transformers.Phi3Config(**_SMALL),
    "phi3-longrope": lambda: transformers.Phi3Config(
        **_SMALL,
        original_max_position_embeddings=256,
        rope_scaling={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0, 1.1, 1.3, 1.5],
            "long_factor": [1.0, 2.0, 4.0, 8.0],
        },
    ),
    "gemma2": lambda: transformers.Gemma2Config(
        **_SMALL, head_dim=8, sliding_window=9, query_pre_attn_scalar=16, attn_logit_softcapping=5.0
    ),
    "gptj": lambda: transformers.GPTJConfig(**_GPT, rotary_dim=4),
    "gpt2": lambda: transformers.GPT2Config(**_GPT),
    "mixtral": lambda: transformers.MixtralConfig(**_SMALL, num_local_experts=4, num_experts_per_tok=2),
}


@dataclass(frozen=True)
class Checkpoint:
    """A folder and the transformers model that it was saved from; its answers are worked out once and kept."""

    folder: Path
    model: Any
    _known: dict[tuple[int, ...], list[int]] = field(default_factory=dict)

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """What transformers generates, end-of-sequence ignored."""
        known = self._known.get(tuple(prompt), [])
        if len(known) < count:
            wanted = max(count, _USUAL)
            with torch.inference_mode():
                out = self.model.generate(
                    torch.tensor([prompt]), max_new_tokens=wanted, min_new_tokens=wanted, do_sample=False
                )
            known = self._known[tuple(prompt)] = out[0, len(prompt) :].tolist()
        return known[:count]

    def logits(self, prompt: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            out: torch.Tensor = self.model(torch.tensor([prompt])).logits[0]
        return out


def make(family: str, folder: Path, *, shards: bool = False) -> Checkpoint:
    """Write the checkpoint of a family; weights are spread out enough for greedy choices to be clear."""
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.3)
            elif "bias" in name:
                parameter.normal_(0.0, 0.1)
    model.eval()
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder, max_shard_size="20KB" if shards else "1GB")
    return Checkpoint(folder, model)


TEMPLATE = (
    "{% for message in messages %}{% if message.role not in ['system', 'user', 'assistant', 'tool'] %}"
    "{{ raise_exception('unknown role ' + message.role) }}{% endif %}"
    "<|{{ message.role }}|>{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_chat(folder: Path) -> Checkpoint:
    """A Llama with a byte-level tokenizer and a chat template: what a server is given."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: number for number, text in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    merges = [("t", "h"), ("th", "e"), ("i", "n"), ("Ġ", "the"), ("a", "n")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens(["<pad>", "<s>", "</s>"])
    torch.manual_seed(11)
    config = _llama(vocab_size=len(vocabulary), max_position_embeddings=512)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.2)
    model.eval()
    model.save_pretrained(folder)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return Checkpoint(folder, model)
