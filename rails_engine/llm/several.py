"""Several answers to one question, drawn independently."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rails_engine.errors import LLMBadRequestError
from rails_engine.llm.answer import complete
from rails_engine.llm.base import LLM, LLMRequest
from rails_engine.llm.layer import gives_samples


async def samples(llm: LLM, request: LLMRequest, count: int) -> list[str]:
    """The texts of `count` answers: in one call where the model gives several at a time, else in calls side by side.

    A prompt that is sent once is read, and paid for, once. A server that knows no `n` gives one answer, or refuses;
    what is missing is asked for in calls of one each.

    Raises:
        LLMClientError, ConfigurationError: as `LLM.stream`.
    """
    found = await _at_once(llm, request, count) if count > 1 and gives_samples(llm) else []
    one = replace(request, samples=1)
    rest = await asyncio.gather(*(complete(llm, one) for _ in range(count - len(found))))
    return [*found, *(answer.text for answer in rest)]


async def _at_once(llm: LLM, request: LLMRequest, count: int) -> list[str]:
    try:
        answer = await complete(llm, replace(request, samples=count))
    except LLMBadRequestError:
        return []
    return [answer.text, *answer.others][:count]
