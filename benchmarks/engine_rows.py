"""The rows that engines are compared by: how many requests, of what lengths, and what bounds them.

Floors are output tokens/s of an 8B Llama on one H200: cuBLAS's matrix products, plus reading the KV cache, plus
prefill, one after the other and nothing else (FP8 floors price no quantising of activations). `recorded` is what vLLM
0.22.0 gave on such a card once; a comparison runs it again (`engine_peer.py`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

LLAMA_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}
LLAMA_70B = LLAMA_8B | {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}

Lengths = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Row:
    """Requests as (prompt, output) lengths; `floors` and `recorded` by "bf16" and "fp8", in tokens/s."""

    name: str
    lengths: Lengths
    floors: dict[str, int]
    recorded: dict[str, int]

    @property
    def output(self) -> int:
        return sum(length for _, length in self.lengths)


def ragged(count: int, low: tuple[int, int], high: tuple[int, int]) -> Lengths:
    """Prompt lengths in [low[0], high[0]] and output lengths in [low[1], high[1]], seeded."""
    draw = random.Random(17)
    return tuple((draw.randint(low[0], high[0]), draw.randint(low[1], high[1])) for _ in range(count))


def same(count: int, prompt: int, output: int) -> Lengths:
    return ((prompt, output),) * count


def prompt(length: int, draw: random.Random) -> tuple[int, ...]:
    """Random token ids."""
    return tuple(draw.randrange(1000, 100_000) for _ in range(length))


def _both(bf16: int, fp8: int) -> dict[str, int]:
    return {"bf16": bf16, "fp8": fp8}


_RAGGED = ragged(512, (256, 16), (768, 240))
ROWS = (
    Row("1 x 128/512", same(1, 128, 512), _both(245, 403), _both(182, 237)),
    Row("32 x 128/128", same(32, 128, 128), _both(6310, 10600), _both(5349, 6494)),
    Row("128 x 128/128", same(128, 128, 128), _both(15900, 26700), _both(12965, 16950)),
    Row("256 x 128/128", same(256, 128, 128), _both(18950, 31600), _both(15844, 20641)),
    Row("1024 x 128/128", same(1024, 128, 128), _both(20200, 32800), _both(17007, 22690)),
    Row("512 x 256-768/16-240", _RAGGED, _both(8140, 13800), _both(6705, 9072)),
    Row("256 x 1024/256", same(256, 1024, 256), _both(6900, 10700), _both(6257, 8479)),
)


def chosen(numbers: str | None) -> tuple[Row, ...]:
    """Rows by their comma-separated numbers; all for None."""
    return ROWS if numbers is None else tuple(ROWS[int(number)] for number in numbers.split(","))
