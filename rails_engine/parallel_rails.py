"""Rails that run at once over the same content: the first refusal ends the others, and rewrites add up.

Several that rewrite would each rewrite what was there before; so every one after the first is asked again, about what
those before it in the list have left. Rails that have to ask a model begin last: where another refuses without
waiting for anything, no model is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

Rail = TypeVar("Rail")
Verdict = TypeVar("Verdict")


HEAD_START: Final = 4
"""Rounds of the event loop in which a rail that need not wait refuses, and the others are ended."""


@dataclass(frozen=True, slots=True)
class ParallelRails(Generic[Rail, Verdict]):
    """How rails of some kind are asked: `ask` runs one over a content, and raises nothing that it can say as a verdict.

    `left` is the content as a verdict leaves it that was given over some content. `is_slow`: a rail asks a model or a
    server.
    """

    ask: Callable[[Rail, Any], Awaitable[Verdict]]
    refuses: Callable[[Verdict], bool]
    left: Callable[[Verdict, Any], Any]
    is_slow: Callable[[Rail], bool]

    async def judged(self, rails: Sequence[Rail], content: Any) -> tuple[list[Verdict], Any]:
        """The verdicts in the order of the list, and the content as they leave it.

        A refusal is the last verdict; before it stand those that were there sooner.
        """
        found = await self._found(rails, content)
        if found and self.refuses(found[-1]):
            return found, content
        done: list[Verdict] = []
        current = content
        for rail, alone in zip(rails, found, strict=True):
            rewrites = self.left(alone, content) != content
            verdict = await self.ask(rail, current) if rewrites and current != content else alone
            done.append(verdict)
            if self.refuses(verdict):
                break
            current = self.left(verdict, current) if rewrites else current
        return done, current

    async def _asked(self, rail: Rail, content: Any, late: bool) -> Verdict:
        if late:
            for _ in range(HEAD_START):
                await asyncio.sleep(0)
        return await self.ask(rail, content)

    async def _found(self, rails: Sequence[Rail], content: Any) -> list[Verdict]:
        """All verdicts over the one content, or the first refusal behind those that came before it."""
        slow = [self.is_slow(rail) for rail in rails]
        tasks = [
            asyncio.ensure_future(self._asked(rail, content, late))
            for rail, late in zip(rails, slow, strict=True)
        ]
        try:
            passed: list[Verdict] = []
            for finished in asyncio.as_completed(tasks):
                verdict = await finished
                if self.refuses(verdict):
                    return [*passed, verdict]
                passed.append(verdict)
            return [task.result() for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
