"""`config.json` of a checkpoint, read into one frozen value that all families share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_backend.errors import CheckpointError, CorruptCheckpointError
from inference_backend.layers import RopeScaling, RopeSettings


class Fields:
    """Typed reading of a JSON object; errors name the file and the key."""

    def __init__(self, raw: Mapping[str, Any], where: str) -> None:
        self.raw = raw
        self.where = where

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self.raw.get(key) is not None

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number, or the default where the key is missing."""
        return int(self._number(key, default))

    def number(self, key: str, default: float | None = None) -> float:
        """A number, or the default where the key is missing."""
        return float(self._number(key, default))

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false, or the default where the key is missing."""
        value = self.raw.get(key)
        if value is not None and not isinstance(value, bool):
            raise CheckpointError(f"{self.where}: {key} is {value!r}, but must be true or false")
        return default if value is None else value

    def text(self, key: str, default: str = "") -> str:
        """A text, or the default where the key is missing."""
        value = self.raw.get(key)
        return default if value is None else str(value)

    def maybe(self, key: str) -> int | None:
        """A whole number, or None where the key is missing."""
        return self.integer(key) if self.has(key) else None

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers."""
        value = self.raw.get(key)
        if not isinstance(value, list) or not all(isinstance(item, int | float) for item in value):
            raise CheckpointError(f"{self.where}: {key} must be a list of numbers")
        return tuple(float(item) for item in value)

    def ids(self, key: str) -> tuple[int, ...]:
        """A token id or a list of them."""
        value = self.raw.get(key)
        if value is None:
            return ()
        return tuple(int(item) for item in (value if isinstance(value, list) else [value]))

    def inner(self, key: str) -> Fields | None:
        """The fields of an object; None where there is none."""
        value = self.raw.get(key)
        return Fields(value, f"{self.where}: {key}") if isinstance(value, Mapping) else None

    def _number(self, key: str, default: float | None) -> float:
        value = self.raw.get(key)
        if value is None:
            if default is None:
                raise CheckpointError(f"{self.where}: {key} is missing")
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(f"{self.where}: {key} is {value!r}, but must be a number")
        return value


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A decoder's shape.

    `windows` has one entry per layer: how many tokens it looks back, or None for all. `dtype` is that of the stored
    weights. `rope` None means learned positions.
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    max_positions: int
    eps: float
    tied: bool
    dtype: str
    eos_ids: tuple[int, ...]
    windows: tuple[int | None, ...]
    rope: RopeSettings | None
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_norms: bool = False
    experts: int = 0
    experts_per_token: int = 0
    attention_soft_cap: float | None = None
    logit_soft_cap: float | None = None
    attention_scale: float | None = None

    @property
    def scale(self) -> float:
        """What query-key products are multiplied with."""
        return self.attention_scale if self.attention_scale is not None else float(self.head_dim**-0.5)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointError: no such file.
        CorruptCheckpointError: not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except ValueError as error:
        raise CorruptCheckpointError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptCheckpointError(f"{path}: not a JSON object")
    return value


def common(fields: Fields) -> dict[str, Any]:
    """The arguments of `ModelConfig` that most families spell alike."""
    heads = fields.integer("num_attention_heads")
    hidden = fields.integer("hidden_size")
    head_dim = fields.integer("head_dim", hidden // heads)
    layers = fields.integer("num_hidden_layers")
    return {
        "vocab_size": fields.integer("vocab_size"),
        "hidden_size": hidden,
        "intermediate_size": fields.integer("intermediate_size"),
        "layers": layers,
        "heads": heads,
        "kv_heads": fields.integer("num_key_value_heads", heads),
        "head_dim": head_dim,
        "max_positions": fields.integer("max_position_embeddings"),
        "eps": fields.number("rms_norm_eps", 1e-6),
        "tied": fields.flag("tie_word_embeddings"),
        "dtype": stored_dtype(fields),
        "eos_ids": fields.ids("eos_token_id"),
        "windows": (None,) * layers,
        "rope": rope_settings(fields, head_dim),
    }


SILU = frozenset({"silu", "swish"})
GELU_TANH = frozenset({"gelu_new", "gelu_pytorch_tanh", "gelu_fast"})


def check_activation(fields: Fields, key: str, known: frozenset[str]) -> None:
    """See that the feed-forward's activation is the one that the family is built with.

    Raises:
        CheckpointError: it is another one, and every answer would be wrong.
    """
    if fields.has(key) and fields.text(key) not in known:
        raise CheckpointError(
            f"{fields.where}: {key} {fields.text(key)!r} is not supported here, but {', '.join(sorted(known))}"
        )


def stored_dtype(fields: Fields) -> str:
    """The dtype that the file says its weights have, float32 where it says none.

    Raises:
        CheckpointError: one that is not supported.
    """
    name = fields.text("dtype") or fields.text("torch_dtype", "float32")
    if name not in {"float32", "float16", "bfloat16"}:
        raise CheckpointError(
            f"{fields.where}: dtype {name!r} is not supported; it must be float32, float16 or bfloat16"
        )
    return name


def layer_windows(fields: Fields, window: int | None, first: int = 0) -> tuple[int | None, ...]:
    """One window per layer, from `layer_types` where there is one, else from layer `first` on."""
    layers = fields.integer("num_hidden_layers")
    kinds = fields.raw.get("layer_types")
    if isinstance(kinds, list) and len(kinds) == layers:
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)
    return tuple(window if layer >= first else None for layer in range(layers))


def rope_settings(fields: Fields, head_dim: int) -> RopeSettings:
    """Rotary settings in the old spelling (rope_theta, rope_scaling) or the new one (rope_parameters)."""
    inner = fields.inner("rope_parameters") or fields.inner("rope_scaling")
    where = inner or Fields({}, fields.where)
    theta = where.number("rope_theta", fields.number("rope_theta", 10000.0))
    share = where.number("partial_rotary_factor", fields.number("partial_rotary_factor", 1.0))
    positions = fields.integer("max_position_embeddings")
    return RopeSettings(
        theta=theta,
        rotated=int(head_dim * share),
        positions=positions,
        scaling=_scaling(where, fields, positions),
    )


_KINDS = {"su": "longrope", "": "default"}


def _scaling(inner: Fields, fields: Fields, positions: int) -> RopeScaling | None:
    kind = inner.text("rope_type") or inner.text("type")
    kind = _KINDS.get(kind, kind)
    if kind == "default":
        return None
    if kind not in {"linear", "dynamic", "yarn", "llama3", "longrope"}:
        raise CheckpointError(f"{inner.where}: rope type {kind!r} is not supported")
    original = inner.maybe("original_max_position_embeddings") or fields.maybe(
        "original_max_position_embeddings"
    )
    longrope = kind == "longrope"
    base = original or positions
    return RopeScaling(
        kind=kind,
        factor=inner.number("factor", positions / base if longrope or original else 1.0),
        original=base,
        low=inner.number("low_freq_factor", 1.0),
        high=inner.number("high_freq_factor", 4.0),
        beta_fast=inner.number("beta_fast", 32.0),
        beta_slow=inner.number("beta_slow", 1.0),
        truncate=inner.flag("truncate", default=True),
        attention_factor=inner.number("attention_factor") if inner.has("attention_factor") else None,
        mscale=inner.number("mscale", 0.0),
        mscale_all_dim=inner.number("mscale_all_dim", 0.0),
        short_factor=inner.numbers("short_factor") if longrope else (),
        long_factor=inner.numbers("long_factor") if longrope else (),
    )
