"""What `config.json` of a BERT-family checkpoint says about its computation, readable without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rails_engine.retrieval.errors import EmbeddingConfigError

_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")
_FAMILIES = ("bert", *_POSITIONS_AFTER_PADDING)


@dataclass(frozen=True, slots=True)
class BertShape:
    """The numbers of `config.json` that the computation needs."""

    layers: int
    heads: int
    hidden: int
    max_tokens: int
    eps: float
    first_position: int
    pad: int

    @staticmethod
    def read(folder: Path) -> BertShape:
        """From a checkpoint folder.

        Raises:
            EmbeddingConfigError: no such folder, or a model of another family.
        """
        try:
            raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EmbeddingConfigError(f"{folder}: config.json cannot be read ({error})") from error
        family = raw.get("model_type")
        if family not in _FAMILIES:
            raise EmbeddingConfigError(
                f"{folder}: a model of type {family!r}; `engine: local` runs {', '.join(_FAMILIES)} encoders "
                "(use `engine: SentenceTransformers` for others)"
            )
        first = raw["pad_token_id"] + 1 if family in _POSITIONS_AFTER_PADDING else 0
        return BertShape(
            layers=raw["num_hidden_layers"],
            heads=raw["num_attention_heads"],
            hidden=raw["hidden_size"],
            max_tokens=raw["max_position_embeddings"] - first,
            eps=raw.get("layer_norm_eps", 1e-12),
            first_position=first,
            pad=raw.get("pad_token_id", 0),
        )
