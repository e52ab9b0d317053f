"""Results on their way back: device tensors copied to pinned memory beside the next step, read when they are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference_backend.step import StepResult


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a step leaves on the device.

    Attributes:
        tokens: int32 [S], -1 where the logits held NaN or nothing finite.
        logprobs, top_ids, top_logprobs: of the chosen tokens [S] and the likeliest [S, K], where asked for.
        hidden: float32 [E, hidden size], where asked for.
    """

    tokens: Tensor
    logprobs: Tensor | None = None
    top_ids: Tensor | None = None
    top_logprobs: Tensor | None = None
    hidden: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Flight:
    """A step's result under way to the host; `landed` is recorded once all of it is there.

    `device` keeps the memory that is copied from out of the allocator's hands until then.
    """

    number: int
    host: Sampled
    device: Sampled
    landed: torch.cuda.Event

    def wait(self) -> StepResult:
        """Block until the result is there."""
        self.landed.synchronize()
        tokens = self.host.tokens.numpy()
        return StepResult(
            number=self.number,
            tokens=np.maximum(tokens, 0).astype(np.int32),
            bad=tokens < 0,
            logprobs=_array(self.host.logprobs),
            top_ids=_array(self.host.top_ids),
            top_logprobs=_array(self.host.top_logprobs),
            hidden=_array(self.host.hidden),
        )


def _array(x: Tensor | None) -> np.ndarray | None:
    return None if x is None else x.numpy()


class ReturnPath:
    """Copies results to pinned memory on a stream of its own, so that the next step need not wait for the copy."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._done: torch.cuda.Event | None = None

    def before_reuse(self) -> None:
        """The current stream may overwrite the tensors sent last once this returns (on the device)."""
        if self._done is not None:
            torch.cuda.current_stream().wait_event(self._done)

    def send(self, number: int, result: Sampled) -> Flight:
        """Copy what the current stream has computed. The tensors may be reused after `before_reuse`."""
        computed = torch.cuda.Event()
        computed.record()
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(computed)
            host = Sampled(
                _pinned(result.tokens), _maybe(result.logprobs), _maybe(result.top_ids), _maybe(result.top_logprobs),
                _maybe(result.hidden),
            )  # fmt: skip
            landed = torch.cuda.Event()
            landed.record(self._stream)
        self._done = landed
        return Flight(number, host, result, landed)


def _maybe(x: Tensor | None) -> Tensor | None:
    return None if x is None else _pinned(x)


def _pinned(x: Tensor) -> Tensor:
    host = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
    return host.copy_(x, non_blocking=True)
