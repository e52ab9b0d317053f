"""Answers that go out while a model is still writing them.

An answer may go out early where it is certain to be said as it is: the flow that asked for it waits with one head,
and hands it to one of the library's own `bot say …` flows as soon as it is there, by itself or through flows that do
nothing else before. Text that stands around it, as in `bot say "He says: {$answer}"`, goes out with it. Its output
rails then judge it window by window, and the library does not have them judge the whole again (`STREAMED`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import colang
from rails_engine.dialog.readers import Reader
from rails_engine.llm import Chunk
from rails_engine.scene import STREAMED, Piece, Scene
from rails_engine.teller import Passage

VERBS: Final = ("say", "inform", "ask", "express", "respond", "clarify", "suggest")
SAYING: Final = frozenset(f"bot {verb}" for verb in VERBS)
"""The flows of `core` that say the text they are given, and nothing else."""
BOT_SAY: Final = "_bot_say"
"""The flow of `core` by which they say it; `guardrails` has it judged there."""


@dataclass(frozen=True, slots=True)
class Speaking:
    """One answer on its way out; without a passage nobody hears it before it is whole."""

    passage: Passage | None
    reader: Reader
    thinks: bool = False
    before: str = ""
    behind: str = ""
    """Text that is said around it."""

    @property
    def piece(self) -> Piece | None:
        """What takes the model's chunks, where somebody hears them."""
        return self._take if self.passage is not None else None

    async def _take(self, chunk: Chunk) -> None:
        if self.passage is not None:
            text = self.reader.feed(chunk.text)
            before = self.before if text and not self.passage.has_begun else ""
            await self.passage.take(before + text, chunk.reasoning if self.thinks else "")

    async def end(self) -> dict[str, Any]:
        """The model has written all of it: the changes of global variables that follow.

        Raises:
            StreamStoppedError: the output rails refused the rest.
        """
        if self.passage is None:
            return {}
        if self.behind and self.passage.has_begun and self.reader.whole:
            await self.passage.take(self.behind)
        text, passed = await self.passage.end()
        return {} if passed is None or not text else {STREAMED: {"text": text, "passed": passed}}

    def leave(self) -> None:
        """Nothing more comes, whatever was the reason."""
        if self.passage is not None:
            self.passage.leave()


def speaking(scene: Scene, reader: Reader, *, thinks: bool = False) -> Speaking:
    """A way out for the result of an action, where its flow says it as it is; `thinks`: with the model's reasoning."""
    handed = colang.takes_result(scene.program, scene.machine, scene.flow_uid, scene.action_uid)
    said = next((step for step in handed if step.flow_id in SAYING), None)
    if said is None:
        return Speaking(None, reader, thinks)
    return Speaking(open_passage(scene), reader, thinks, said.before, said.behind)


def open_passage(scene: Scene) -> Passage | None:
    """A passage, where somebody reads along and what says the texts is the library's own."""
    flows = scene.program.flows
    own = all(name in flows and flows[name].is_of_library for name in (*SAYING, BOT_SAY))
    return scene.teller.open() if scene.teller is not None and own else None
