"""Guesses for the next tokens, to be verified in one step.

A verified position is sampled exactly as it would have been without the guess, and the guess holds if it is that token;
so speculation changes the speed and never the output. It pays while the GPU waits for memory, and costs when it is
busy: `SpeculationSettings.max_running` switches it off under load.
"""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from typing import Protocol

from inference_backend.errors import EngineError
from inference_backend.prepared import PreparedRequest
from inference_backend.sequence import Sequence
from inference_backend.settings import SpeculationSettings
from inference_backend.values import Delta, Request, SamplingParameters


class Drafter(Protocol):
    """Proposes continuations."""

    def propose(self, sequences: list[Sequence]) -> None:
        """Set `drafts` of sequences whose tokens are all known; leave them empty where there is no good guess."""
        ...


class DraftEngine(Protocol):
    """The part of an engine that drafting needs."""

    @property
    def busy(self) -> bool:
        """See `Engine.busy`."""
        ...

    def prepare(self, request: Request) -> PreparedRequest:
        """See `Engine.prepare`."""
        ...

    def submit(self, prepared: PreparedRequest) -> None:
        """See `Engine.submit`."""
        ...

    def step(self) -> list[Delta]:
        """See `Engine.step`."""
        ...


class NgramDrafter:
    """Prompt lookup (Saxena, 2023): what followed the last n tokens where they occurred before, longest n first."""

    def __init__(self, settings: SpeculationSettings) -> None:
        self.settings = settings

    def propose(self, sequences: list[Sequence]) -> None:
        """Put drafts into the sequences whose end is found earlier in them."""
        for sequence in sequences:
            sequence.drafts = self.lookup(sequence.tokens)

    def lookup(self, tokens: Tokens[int]) -> list[int]:
        """Up to `tokens` of the settings; empty where the ending is new."""
        for size in range(self.settings.ngram_max, self.settings.ngram_min - 1, -1):
            ending = list(tokens[-size:])
            for start in range(len(tokens) - size - 1, -1, -1):
                if tokens[start] == ending[0] and list(tokens[start : start + size]) == ending:
                    after = start + size
                    return list(tokens[after : after + self.settings.tokens])
        return []


class DraftModelDrafter:
    """A smaller model of the same vocabulary guesses greedily (Leviathan et al., 2023).

    It runs in an engine of its own, whose prefix cache keeps what it has read of each sequence.
    """

    def __init__(self, settings: SpeculationSettings, engine: DraftEngine) -> None:
        self.settings = settings
        self._engine = engine

    def propose(self, sequences: list[Sequence]) -> None:
        """Put what the smaller model would say next into the sequences."""
        waiting = {}
        for number, sequence in enumerate(sequences):
            name = str(number)
            sampling = SamplingParameters(temperature=0.0, max_tokens=self.settings.tokens, ignore_eos=True)
            try:
                self._engine.submit(self._engine.prepare(Request(name, tuple(sequence.tokens), sampling)))
            except EngineError:  # too long for the draft model, or that has failed: no guess
                continue
            waiting[name] = sequence
        while self._engine.busy:
            for delta in self._engine.step():
                waiting[delta.request_id].drafts += delta.token_ids
