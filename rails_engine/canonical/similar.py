"""Examples near to what was said: of user intents, of flows and of bot messages.

User intents go through the configuration's search provider, since the author chose it for that; without a model they
are told apart by `rails_engine.retrieval.Intents`. Flows and bot messages are few and their names are words, so they are
ranked by the words that they share.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from colang.v1 import FlowCode, Program, WaitUser
from rails_engine.config.schema import UserMessagesConfig
from rails_engine.dialog import likeness
from rails_engine.knowledge import Knowledge

if TYPE_CHECKING:
    from rails_engine.retrieval import Intents

T = TypeVar("T")

SHOWN = 5
"""How many examples a prompt shows."""


@dataclass(frozen=True, slots=True)
class Near:
    """An example utterance, its intent, and its cosine to what was said (NaN where it is not known)."""

    text: str
    intent: str
    score: float

    def __str__(self) -> str:
        """As prompts quote it."""
        return f'user "{self.text}"\n  {self.intent}'


@dataclass(slots=True)
class Examples:
    """The examples of one program; the user's are indexed when they are first asked for."""

    program: Program
    knowledge: Knowledge
    _indexed: Intents | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def intents(self, said: str, threshold: float | None = None) -> list[Near]:
        """The example utterances nearest to `said`, best first.

        Raises:
            RetrievalError: the search provider is unknown or failed.
        """
        hits = await (await self._user_intents()).nearest(said, SHOWN, threshold)
        return [Near(hit.item.text, str(hit.item.meta["intent"]), hit.score) for hit in hits]

    async def by_likeness_alone(self, said: str, settings: UserMessagesConfig) -> str | None:
        """The intent that the examples speak for; None where a model, if there is one, should rather be asked.

        That is where nothing is near enough and no fallback is set, or where two intents are nearly as likely and the
        configuration asks for a margin. Without a threshold the nearest intent is taken, unless a fallback is set and
        the utterance is like none of the examples.
        """
        limit = settings.embeddings_only_similarity_threshold
        cosine = None if limit is None else self.knowledge.setup.threshold(limit)
        match = await (await self._user_intents()).match(said, cosine)
        fallback = settings.embeddings_only_fallback_intent
        if match is None or (not match.in_scope and (limit is not None or fallback is not None)):
            return fallback
        margin = settings.embeddings_only_margin
        if margin is not None and match.margin < margin:
            return None
        return match.intent

    async def _user_intents(self) -> Intents:
        async with self._lock:
            if self._indexed is None:
                self._indexed = self.knowledge.setup.intents(self.program.user_messages)
            return self._indexed

    def flows(self, text: str) -> list[str]:
        """The dialog flows nearest to `text`, best first, as prompts quote them."""
        flows = [quoted for flow in self._dialog() if (quoted := _quoted(flow))]
        return _best(flows, [likeness(text, quoted) for quoted in flows])

    def exchanges(self, near: Iterable[Near]) -> list[str]:
        """What the flows do after the nearest utterances, to what is said last; the utterances alone where none does."""
        near = list(near)
        found = [exchange for each in near if (exchange := self._exchange(each))]
        return found or list(map(str, near))

    def _exchange(self, near: Near) -> str | None:
        awaited = WaitUser(near.intent)
        flow = next((flow for flow in self._dialog() if flow.elements[:1] == (awaited,)), None)
        if flow is None:
            return None
        lines = [str(near), *_quoted(flow).splitlines()[1:]]
        said = self.program.bot_messages.get(lines[-1].removeprefix("bot "))
        return "\n".join([*lines, f'  "{said[0]}"'] if said else lines)

    def _dialog(self) -> Iterator[FlowCode]:
        return (flow for flow in self.program.flows.values() if not flow.is_system)

    def messages(self, intent: str) -> list[tuple[str, str]]:
        """Bot intents with a text of theirs, nearest to `intent` first."""
        pairs = [(name, text) for name, texts in self.program.bot_messages.items() for text in texts]
        return _best(pairs, [likeness(intent, name) for name, _ in pairs])


def in_prompt(examples: Iterable[str]) -> str:
    """Examples, given best first, as prompts show them: the best last, nearest to the question."""
    return "".join(f"{example}\n\n" for example in reversed(list(examples)))


def _quoted(flow: FlowCode) -> str:
    """A flow's body without its settings, such as its priority, and without what stands above its first statement."""
    kept: list[str] = []
    is_setting = False
    for line in filter(str.strip, flow.text.splitlines()):
        is_setting = bool(_SETTING.match(line)) or (is_setting and line[0].isspace())
        if not is_setting and (kept or not line.startswith("#")):
            kept.append(line)
    return "\n".join(kept)


_SETTING: Final = re.compile(r"(?:priority|meta)\b")


def _best(values: Sequence[T], scores: Sequence[float]) -> list[T]:
    order = sorted(range(len(values)), key=lambda place: scores[place], reverse=True)
    return [values[place] for place in order[:SHOWN]]
