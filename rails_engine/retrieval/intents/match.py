"""What an utterance was taken for, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rails_engine.retrieval.base import Hit

RANKED = 5
"""How many intents a match names."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An intent and its calibrated probability."""

    intent: str
    probability: float


@dataclass(frozen=True, slots=True)
class IntentMatch:
    """The intents that an utterance may have, best first, and whether it has any of them.

    `similarity` is the cosine of the nearest example (NaN where a foreign search provider gives none). `familiarity`
    is what `in_scope` is decided by: it is low for what no example is like.
    """

    ranked: tuple[Ranked, ...]
    similarity: float
    familiarity: float
    in_scope: bool

    @property
    def intent(self) -> str:
        """The best intent."""
        return self.ranked[0].intent

    @property
    def probability(self) -> float:
        """The calibrated probability of the best intent, from 0 to 1."""
        return self.ranked[0].probability

    @property
    def margin(self) -> float:
        """How far the best intent is ahead of the next, in probability."""
        return self.probability - (self.ranked[1].probability if len(self.ranked) > 1 else 0.0)


class Intents(Protocol):
    """The examples of the user's intents, searchable."""

    async def build(self) -> None:
        """Embed the examples and fit what is fitted; a second call does nothing.

        Raises:
            EmbeddingError: the examples could not be embedded.
        """
        ...

    async def nearest(self, text: str, limit: int, threshold: float | None = None) -> list[Hit]:
        """The nearest examples, best first, none below the cosine `threshold`; `meta["intent"]` names the intent."""
        ...

    async def match(self, text: str, threshold: float | None = None) -> IntentMatch | None:
        """The intent of an utterance, None where no example is known or found.

        With a cosine `threshold` that decides what is in scope, instead of the calibration.
        """
        ...


def order_of_intents(hits: Sequence[Hit]) -> list[str]:
    """The intents of hits, best first, each once."""
    return list(dict.fromkeys(str(hit.item.meta["intent"]) for hit in hits))
