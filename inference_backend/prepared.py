"""A request once it has been checked."""

from __future__ import annotations

from dataclasses import dataclass

from inference_backend.text import Matcher
from inference_backend.values import Request


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that has been checked against the model, with what could be worked out outside the loop.

    `limit` is the number of tokens, the prompt's included, at which each of its choices ends.
    """

    request: Request
    limit: int
    matcher: Matcher | None
