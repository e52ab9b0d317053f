"""What a turn of Colang 2.x says, on its way to somebody who reads along.

An utterance is told when it stands. An answer that a model is writing, and that will be an utterance as it is, goes out
before that: window by window, each once the output rails have let it pass. When its utterance comes it is not told
again. What actions write for the reader goes through windows as well.

    model ──pieces──> Passage ──windows──> outlet
                                             ^
    flows ──utterances, exceptions───────────┘
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.config.schema import OutputRailsStreamingConfig
from rails_engine.judge import OUTPUT, TOOL_OUTPUT, Judge
from rails_engine.llm import Usage
from rails_engine.streaming import Frame, Outlet, Thought, closing_frame, violation_frame
from rails_engine.umim import EventDict
from rails_engine.windows import Ruling, StreamStoppedError, Windows


class Passage:
    """One text on its way out piece by piece.

    Where rails guard what the model answers, its reasoning waits for the text that it led to. Of an answer without text,
    such as a call of tools, it is told at the end of the turn, if the answer has come through.
    """

    def __init__(self, teller: Teller, windows: Windows, *, holds_reasoning: bool) -> None:
        self._teller = teller
        self._windows = windows
        self._thought = Thought(waits=holds_reasoning)
        self._written: list[str] = []

    @property
    def has_begun(self) -> bool:
        """Whether some text has come."""
        return any(self._written)

    async def take(self, text: str, reasoning: str = "") -> None:
        """The next piece.

        Raises:
            StreamStoppedError: the rails refused a window.
        """
        frame = self._thought.beside(text, reasoning)
        if frame is None:
            return
        self._written.append(text)
        try:
            await self._windows.take(frame)
        except StreamStoppedError as stop:
            self._teller.stop(stop)
            raise
        await self._teller.room()

    def leave(self) -> None:
        """Nothing more comes."""
        self._teller.close(self)

    async def end(self) -> tuple[str, str | None]:
        """The text is whole: what was written, and what of it the output rails let out, None where there are none.

        Raises:
            StreamStoppedError: the rails refused the rest.
        """
        behind = self._thought.behind()
        try:
            if behind is not None:
                await self._windows.take(behind)
            await self._windows.end()
        except StreamStoppedError as stop:
            self._teller.stop(stop)
            raise
        self._teller.expect(self._windows.released)
        return "".join(self._written), self._windows.released if self._windows.checks else None


class Teller:
    """Gives out what is said, a line for each utterance. Without an outlet it is a stand-in that nobody reads.

    `rewrites`: the output rails may change a text; `reach`: characters that what they change may be long.
    """

    def __init__(
        self,
        outlet: Outlet | None,
        settings: OutputRailsStreamingConfig,
        *,
        rewrites: bool = False,
        reach: int = 0,
    ) -> None:
        self._outlet = outlet
        self._settings = settings
        self._rewrites = rewrites
        self._reach = reach
        self._judge: Judge | None = None
        self._open: Passage | None = None
        self._pushed: Passage | None = None
        self._told_already: list[str] = []
        self._remarks: set[str] = set()
        self._line_wanted = False
        self._over = False
        self._thought = ""

    def begin(self, judge: Judge) -> None:
        """`judge` asks the rails about the conversation as it is when it is asked."""
        self._judge = judge

    def stand_in(self) -> Teller:
        """For a copy of the turn that asks models the same and tells nobody."""
        return Teller(None, self._settings)

    # --- piece by piece --------------------------------------------------------------------------------------------

    def open(self) -> Passage | None:
        """A way out for an answer; None while another one is on its way, and where nothing may go out in pieces."""
        if self._open is not None or self._over or not (self._settings.enabled or not self._checks()):
            return None
        self._open = self._passage()
        return self._open

    def close(self, passage: Passage) -> None:
        """Nothing more comes through the passage."""
        if self._open is passage:
            self._open = None

    async def push(self, text: str) -> None:
        """A piece that an action writes for the reader.

        Raises:
            StreamStoppedError: the rails refused it.
        """
        if self._over:
            return
        if self._pushed is None:
            self._pushed = self._passage()
        await self._pushed.take(text)

    async def flush(self) -> None:
        """An action has ended: what it wrote is whole.

        Raises:
            StreamStoppedError: the rails refused the rest.
        """
        passage, self._pushed = self._pushed, None
        if passage is not None and not self._over:
            await passage.end()

    def _checks(self) -> bool:
        return self._judge is not None and self._judge.has(OUTPUT)

    def _passage(self) -> Passage:
        check = self._ruling if self._checks() else None
        windows = Windows(self._settings, check, self._piece, rewrites=self._rewrites, reach=self._reach)
        guarded = self._judge is not None and self._judge.has_flow(TOOL_OUTPUT)
        return Passage(self, windows, holds_reasoning=guarded or check is not None)

    async def _ruling(self, text: str, reasoning: str) -> Ruling:
        if self._judge is None:
            raise RuntimeError("a teller has to begin before it asks the rails")
        ruling = await self._judge.window(text, None, reasoning)
        if ruling.refused_by is None and ruling.said and ruling.said not in self._remarks:
            # A warning beside a text that may pass; each window is judged anew, and brings it again.
            self._remarks.add(ruling.said)
            self._said(ruling.said)
        return ruling

    def expect(self, text: str) -> None:
        """This text is out: its utterance need not be told."""
        if text:
            self._told_already.append(text)
            self._line_wanted = True

    async def room(self) -> None:
        """Wait while the reader is far behind."""
        if self._outlet is not None:
            await self._outlet.room()

    # --- whole -----------------------------------------------------------------------------------------------------

    def heard(self, event: EventDict) -> None:
        """One output of the turn."""
        kind = event["type"]
        if kind == "UtteranceBotActionFinished":
            self._said(str(event.get("final_script", "")))
        elif kind.endswith("Exception"):
            self._give(violation_frame(None, str(event.get("message") or kind)))

    def _said(self, script: str) -> None:
        told = next((text for text in self._told_already if script.startswith(text)), None)
        if told is not None:
            # It is out already, or its beginning is.
            self._told_already.remove(told)
            if len(script) > len(told):
                self._give(Frame(script[len(told) :]))
            return
        self._give(Frame(f"\n{script}" if self._line_wanted else script))
        self._line_wanted = True

    def stop(self, stop: StreamStoppedError) -> None:
        """The rails refused what was being written: that ends the stream."""
        self._open = self._pushed = None
        self._give(stop.ruling.frame())
        self._over = True

    def finish(self, reply: Mapping[str, Any], reasoning: str | None, usage: Usage | None) -> None:
        """The turn is over: its tool calls, the reasoning that has not gone out with a text, and what it took."""
        told, reasoning = self._thought, reasoning or ""
        rest = reasoning[len(told) :] if reasoning.startswith(told) else ""
        thought = {"reasoning_content": rest} if rest else {}
        called = {"tool_calls": reply["tool_calls"]} if reply.get("tool_calls") else {}
        if thought or called:
            self._give(Frame(metadata=thought | called))
        if self._outlet is not None:
            self._outlet.give(closing_frame(usage))

    def _piece(self, frame: Frame) -> None:
        if frame.text and self._line_wanted:
            frame, self._line_wanted = Frame(f"\n{frame.text}", frame.metadata), False
        self._give(frame)

    def _give(self, frame: Frame) -> None:
        if self._outlet is not None and not self._over:
            self._thought += frame.metadata.get("reasoning_content", "")
            self._outlet.give(frame)
