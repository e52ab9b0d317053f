"""From one sequence's outcomes to what its caller sees: text, log probabilities, the reason it ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference_backend.errors import ConstraintError, EngineError
from inference_backend.outcome import Outcome
from inference_backend.sequence import Sequence
from inference_backend.step import Floats, StepResult
from inference_backend.text import Detokenizer, Matcher, StopFinder
from inference_backend.values import Delta, FinishReason, SamplingParameters, TokenLogprob, Usage


@dataclass(frozen=True, slots=True)
class _End:
    finish: FinishReason
    stop: str | int | None = None
    error: EngineError | None = None


class Stream:
    """The text side of one sequence. `detokenizer` None leaves text empty: for callers who want tokens alone."""

    def __init__(self, sequence: Sequence, detokenizer: Detokenizer | None, matcher: Matcher | None) -> None:
        self.sequence = sequence
        self.matcher = matcher
        self._detokenizer = detokenizer
        self._stops = StopFinder(self._sampling.stop, include=self._sampling.include_stop)
        self._pooled: list[Floats] = []
        self._unused = 0  # verified tokens behind a stop string: nobody asked for them
        request = sequence.request
        self._tokens_alone = (
            detokenizer is None
            and matcher is None
            and request.sampling.most_logprobs is None
            and not request.pooling
        )

    @property
    def _sampling(self) -> SamplingParameters:
        return self.sequence.request.sampling

    def advance(self, outcome: Outcome, result: StepResult) -> Delta:
        """The caller's view of an outcome. A `finish` in it may be new: a stop string, or a constraint fulfilled."""
        if self._tokens_alone and outcome.finish is None:
            return Delta(self.sequence.request.id, self.sequence.index, "", outcome.tokens)
        if outcome.hidden is not None:
            self._pooled.append(outcome.hidden)
        end = self._end_of(outcome) or self._constraint_end(outcome)
        shown = outcome.tokens
        if end is not None and isinstance(end.stop, int) and not self._sampling.include_stop:
            shown = shown[:-1]
        text, end, used = self._text(shown, end)
        kept = len(outcome.tokens) if used is None else used
        self._unused = len(outcome.tokens) - kept
        return Delta(
            request_id=self.sequence.request.id,
            index=self.sequence.index,
            text=text,
            token_ids=outcome.tokens[:kept],
            logprobs=_logprobs(outcome.tokens, outcome.samples, result, self._sampling.logprobs)[:kept],
            prompt_logprobs=self._prompt_logprobs(outcome, result),
            finish=end.finish if end else None,
            stop_reason=end.stop if end else None,
            error=end.error if end else None,
            usage=self.usage if end else None,
            embedding=self._embedding() if end and end.error is None else None,
        )

    def end(self, finish: FinishReason, error: EngineError) -> Delta:
        """The last word to a caller whose sequence is ended from outside."""
        request = self.sequence.request
        return Delta(request.id, self.sequence.index, finish=finish, error=error, usage=self.usage)

    @property
    def usage(self) -> Usage:
        """Tokens of this choice so far."""
        sequence = self.sequence
        return Usage(
            sequence.prompt_length,
            sequence.generated - self._unused,
            min(sequence.cached, sequence.prompt_length),
        )

    def _end_of(self, outcome: Outcome) -> _End | None:
        if outcome.finish is None:
            return None
        return _End(outcome.finish, outcome.stop_token, outcome.error)

    def _constraint_end(self, outcome: Outcome) -> _End | None:
        """Move the grammar on; the end, if it is complete or was left."""
        if self.matcher is None:
            return None
        for token in outcome.tokens:
            if not self.matcher.advance(token):
                return _End(
                    "error", error=ConstraintError("the model has no token that the constraint allows here")
                )
        return _End("stop") if self.matcher.done else None

    def _text(self, tokens: tuple[int, ...], end: _End | None) -> tuple[str, _End | None, int | None]:
        """What may be shown, the end, and how many of the tokens count where a stop string cuts them short."""
        if self._detokenizer is None:
            return "", end, None
        text, before = "", self.sequence.generated - len(tokens)
        for count, token in enumerate(tokens, start=1):
            piece = self._detokenizer.push((token,))
            if before + count <= self._sampling.min_tokens:
                text += piece
                continue
            released = self._stops.push(piece)
            text += released.text
            if released.stop is not None:
                return text, _End("stop", released.stop), count
        if end is None:
            return text, None, None
        released = self._stops.push(self._detokenizer.flush())
        if released.stop is not None:
            return text + released.text, _End("stop", released.stop), None
        return text + released.text + self._stops.flush(), end, None

    def _prompt_logprobs(self, outcome: Outcome, result: StepResult) -> tuple[TokenLogprob, ...]:
        start = outcome.scored_from
        tokens = self.sequence.request.prompt_ids[start : start + len(outcome.scored)]
        return _logprobs(tokens, outcome.scored, result, self._sampling.prompt_logprobs)

    def _embedding(self) -> tuple[float, ...] | None:
        """The mean over the prompt's states, or the last one, scaled to length one."""
        if not self._pooled:
            return None
        states = np.concatenate(self._pooled).astype(np.float64)
        pooled = states.mean(axis=0) if self.sequence.request.pooling == "mean" else states[-1]
        return tuple((pooled / max(float(np.linalg.norm(pooled)), 1e-12)).tolist())


def _logprobs(
    tokens: tuple[int, ...], samples: tuple[int, ...], result: StepResult, count: int | None
) -> tuple[TokenLogprob, ...]:
    """Tokens with their log probabilities at these places of the result, and `count` alternatives each."""
    if count is None or result.logprobs is None or result.top_ids is None or result.top_logprobs is None:
        return ()
    found = []
    for token, at in zip(tokens, samples, strict=True):
        ids, values = result.top_ids[at, :count].tolist(), result.top_logprobs[at, :count].tolist()
        found.append(TokenLogprob(token, float(result.logprobs[at]), tuple(zip(ids, values, strict=True))))
    return tuple(found)
