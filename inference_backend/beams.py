"""Beam search over one-token requests.

The search itself does no I/O: it says which continuations it needs, is told the likeliest next tokens of each, and ends
with finished texts. Each step's continuations go to the engine as requests for one token; all but the last block
of a beam is found in the prefix cache, so beams share memory and the scheduler needs to know nothing about them. Under a
constraint each request continues it from its beam's tokens, and a beam's scores stay the model's own, as in transformers.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from inference_backend.errors import ConstraintError, InvalidParameterError
from inference_backend.tasks import together
from inference_backend.text import ConstraintCompiler, StopFinder, Tokenizer
from inference_backend.values import Continued, Delta, Request, SamplingParameters, TokenLogprob, Usage

Complete: TypeAlias = Callable[[tuple[int, ...]], bool]
"""Whether generated tokens are a whole answer, whatever the stop tokens say."""


@dataclass(frozen=True, slots=True)
class Beam:
    """Generated tokens and the sum of their log probabilities."""

    tokens: tuple[int, ...] = ()
    total: float = 0.0

    def score(self, penalty: float) -> float:
        """The sum over the length to the power of the penalty."""
        return float(self.total / max(len(self.tokens), 1) ** penalty)


class BeamSearch:
    """State of one search; `beams` is what to continue next, empty when it has ended."""

    def __init__(
        self, sampling: SamplingParameters, stop_ids: frozenset[int], max_tokens: int, complete: Complete
    ) -> None:
        self.sampling = sampling
        self._complete = complete
        self.beams: list[Beam] = [Beam()]
        self._stop_ids = stop_ids
        self._max_tokens = max_tokens
        self._finished: list[Beam] = []

    @property
    def candidates(self) -> int:
        """How many next tokens are needed per beam: enough to keep the width if every other one ends a beam."""
        return 2 * self.sampling.beam_width

    def advance(self, nexts: Sequence[TokenLogprob]) -> None:
        """Take the likeliest next tokens of each of `beams`, in order."""
        width = self.sampling.beam_width
        grown = [
            Beam((*beam.tokens, token), beam.total + logprob)
            for beam, entry in zip(self.beams, nexts, strict=True)
            for token, logprob in entry.top
            if logprob > -math.inf  # what a constraint forbids
        ]
        grown.sort(key=lambda beam: -beam.total)
        grown = grown[: self.candidates]
        ended = [self.stopped(beam) or self._complete(beam.tokens) for beam in grown]
        self._finish([beam for beam, end in zip(grown[:width], ended, strict=False) if end])
        self.beams = [beam for beam, end in zip(grown, ended, strict=True) if not end][:width]
        if self.beams and len(self.beams[0].tokens) >= self._max_tokens:
            self._finish(self.beams)
            self.beams = []
        elif self._hopeless():
            self.beams = []

    def best(self) -> list[Beam]:
        """Finished beams, best first, as many as the search's `n`."""
        return self._finished[: self.sampling.n]

    def stopped(self, beam: Beam) -> bool:
        """Whether a beam ends with a stop token."""
        enough = len(beam.tokens) > self.sampling.min_tokens
        return enough and beam.tokens[-1] in self._stop_ids

    def _finish(self, beams: list[Beam]) -> None:
        penalty = self.sampling.length_penalty
        self._finished = sorted([*self._finished, *beams], key=lambda beam: -beam.score(penalty))
        del self._finished[self.sampling.beam_width :]

    def _hopeless(self) -> bool:
        """Whether as many have finished as are wanted, and the best of the others is no better than the worst."""
        if len(self._finished) < self.sampling.beam_width or not self.beams:
            return False
        penalty = self.sampling.length_penalty
        return self.beams[0].score(penalty) <= self._finished[-1].score(penalty)


class BeamText:
    """The text side of a search: when a beam's text is complete, and what of it is shown."""

    def __init__(
        self, sampling: SamplingParameters, tokenizer: Tokenizer | None, compiler: ConstraintCompiler | None
    ) -> None:
        self._sampling = sampling
        self._tokenizer = tokenizer
        self._compiler = compiler

    def complete(self, tokens: tuple[int, ...]) -> bool:
        """Whether a stop string is in the text, or nothing can follow under the constraint."""
        if len(tokens) <= self._sampling.min_tokens:
            return False
        return self.shown(tokens)[1] is not None or self._fulfilled(tokens)

    def shown(self, tokens: tuple[int, ...]) -> tuple[str, str | None]:
        """The text up to the stop string that ends it, and that string."""
        if self._tokenizer is None:
            return "", None
        text = self._tokenizer.decode(tokens, skip_special=self._sampling.skip_special_tokens)
        finder = StopFinder(self._sampling.stop, include=self._sampling.include_stop)
        released = finder.push(text)
        return (released.text, released.stop) if released.stop else (text, None)

    def _fulfilled(self, tokens: tuple[int, ...]) -> bool:
        constraint = self._sampling.constraint
        if constraint is None or self._compiler is None or isinstance(constraint, Continued):
            return False
        return self._compiler.compile(Continued(constraint, tokens)).done


async def run_beams(
    generate: Callable[[Request], AsyncIterator[Delta]], request: Request, search: BeamSearch, text: BeamText
) -> AsyncIterator[Delta]:
    """Drive a search with an engine; one delta per choice, at the end.

    Raises:
        InvalidParameterError: more choices than beams, or something that beams cannot honour.
        ConstraintError: no beam can meet the constraint.
        EngineError: as for any request.
    """
    _check(request.sampling)
    step, began = 0, time.monotonic()
    while search.beams:
        left = _time_left(request, began)
        asked = [_one_token(left, search, number, step) for number in range(len(search.beams))]
        search.advance(await together(_next_token(generate, one) for one in asked))
        step += 1
    best = search.best()
    if not best:
        raise ConstraintError("the model has no tokens that the constraint allows")
    for index, beam in enumerate(best):
        yield _delta(request, index, beam, search, text)


def _check(sampling: SamplingParameters) -> None:
    if sampling.n > sampling.beam_width:
        raise InvalidParameterError(
            f"n ({sampling.n}) is above beam_width ({sampling.beam_width})", param="n"
        )
    if sampling.prompt_logprobs is not None:
        raise InvalidParameterError("beam search scores no prompts", param="prompt_logprobs")


def _time_left(request: Request, began: float) -> Request:
    """The request with what is left of its deadline: each step is a request of its own."""
    if request.deadline_s is None:
        return request
    left = request.deadline_s - (time.monotonic() - began)
    return replace(request, deadline_s=max(left, 1e-6))


def _one_token(request: Request, search: BeamSearch, number: int, step: int) -> Request:
    tokens, constraint = search.beams[number].tokens, request.sampling.constraint
    if constraint is not None and not isinstance(constraint, Continued):
        constraint = Continued(constraint, tokens)
    sampling = SamplingParameters(
        temperature=0.0,
        max_tokens=1,
        ignore_eos=True,
        logprobs=search.candidates,
        allowed_logprobs=True,
        constraint=constraint,
    )
    return replace(
        request,
        id=f"{request.id}/{step}/{number}",
        prompt_ids=(*request.prompt_ids, *tokens),
        sampling=sampling,
    )


async def _next_token(generate: Callable[[Request], AsyncIterator[Delta]], request: Request) -> TokenLogprob:
    found = [entry async for delta in generate(request) for entry in delta.logprobs]
    return found[0]


def _delta(request: Request, index: int, beam: Beam, search: BeamSearch, text: BeamText) -> Delta:
    stopped = search.stopped(beam)
    shown, stop = text.shown(beam.tokens[:-1] if stopped else beam.tokens)
    ended = stopped or text.complete(beam.tokens)
    return Delta(
        request_id=request.id,
        index=index,
        text=shown,
        token_ids=beam.tokens,
        finish="stop" if ended else "length",
        stop_reason=beam.tokens[-1] if stopped else stop,
        usage=Usage(len(request.prompt_ids), len(beam.tokens)),
    )
