"""What a step brought its sequences: the values, and reading them from a result."""

from __future__ import annotations

from typing import NamedTuple

from inference_backend.errors import EngineError
from inference_backend.planning import Row
from inference_backend.sequence import Sequence
from inference_backend.step import Floats
from inference_backend.values import FinishReason


class Outcome(NamedTuple):
    """What one step brought one sequence.

    `tokens` are new; `samples` their indexes into the result's S, `scored` those of the prompt's tokens from number
    `scored_from` on. `hidden` is float32 [n, hidden size], the states of this step's part of an embedding's prompt.
    """

    sequence: Sequence
    tokens: tuple[int, ...] = ()
    samples: tuple[int, ...] = ()
    finish: FinishReason | None = None
    stop_token: int | None = None
    error: EngineError | None = None
    hidden: Floats | None = None
    scored: tuple[int, ...] = ()
    scored_from: int = 0


def accepted(drafts: tuple[int, ...], sampled: list[int]) -> list[int]:
    """The sampled tokens that hold: each one follows drafts that were all sampled themselves."""
    kept = 0
    while kept < len(drafts) and drafts[kept] == sampled[kept]:
        kept += 1
    return sampled[: kept + 1]


def hidden_rows(row: Row) -> int:
    """How many of a row's hidden states its embedding needs."""
    pooling = row.sequence.request.pooling
    if pooling == "mean":
        return row.length
    return int(pooling == "last" and row.start + row.length == row.sequence.prompt_length)


def until_end(sequence: Sequence, tokens: list[int]) -> tuple[list[int], FinishReason | None]:
    """Tokens up to the one that ends the sequence, if one does."""
    for count, token in enumerate(tokens, start=1):
        generated = sequence.generated + count
        if token in sequence.stop_ids and generated > sequence.request.sampling.min_tokens:
            return tokens[:count], "stop"
        if len(sequence.tokens) + count >= sequence.limit:
            return tokens[:count], "length"
    return tokens, None
