"""The loop of the chat against a conversation that follows a script, with real time passing in milliseconds."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from app.cli.chat.driver import ConversationError, Driver
from app.cli.chat.session import Session
from app.cli.chat.values import Tone, UmimEvent

Reply = Callable[[UmimEvent], list[dict[str, Any]]]


@dataclass
class Scripted:
    """Answers each event by name; keeps what it was told."""

    replies: dict[str, Reply] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    restarts: int = 0
    closed: bool = False

    async def tell(self, events: Sequence[UmimEvent]) -> list[UmimEvent]:
        self.told += [event["type"] for event in events]
        return [out for event in events for out in self.replies.get(event["type"], lambda _: [])(event)]

    def restart(self) -> None:
        self.restarts += 1

    def inspect(self, question: str) -> str:
        return f"about {question}"

    async def close(self) -> None:
        self.closed = True


@dataclass
class Lines:
    """A screen that reads from a list and keeps what it showed."""

    lines: list[str]
    eager: bool = False
    shown: list[str] = field(default_factory=list)

    async def read(self) -> str | None:
        return self.lines.pop(0) if self.lines else None

    def show(self, text: str, tone: Tone) -> None:
        self.shown.append(f"{tone.value}: {text}")

    def piece(self, text: str | None) -> None:
        self.shown.append(f"piece: {text}")

    def working(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return nullcontext()

    def awaiting(self, results: bool) -> None:
        """Nothing to show."""


async def hold(conversation: Scripted, *lines: str) -> list[str]:
    screen = Lines(list(lines))
    numbers = itertools.count(1)
    session = Session(clock=time.monotonic, uids=lambda: f"u{next(numbers)}")
    await Driver(conversation, session, screen, time.monotonic).run()
    return screen.shown


def says(script: str) -> dict[str, Any]:
    return {"type": "StartUtteranceBotAction", "action_uid": script, "script": script}


def echo(event: UmimEvent) -> list[dict[str, Any]]:
    return [says(f"{event['final_transcript']}!")]


async def test_lines_are_answered_in_order_until_the_input_ends() -> None:
    conversation = Scripted({"UtteranceUserActionFinished": echo})
    assert await hold(conversation, "one", "two") == ["speech: one!", "speech: two!"]


async def test_what_the_bot_does_is_reported_back_before_the_next_line() -> None:
    conversation = Scripted({"UtteranceUserActionFinished": echo})
    await hold(conversation, "one", "two")
    per_line = [
        "UtteranceUserActionStarted",
        "UtteranceUserActionFinished",
        "UtteranceBotActionStarted",
        "UtteranceBotActionFinished",
        "CheckLocalAsync",
    ]
    assert conversation.told == ["CheckLocalAsync", *per_line, *per_line]


async def test_a_pipe_waits_for_results_before_it_reads_on() -> None:
    counters = iter([1, 1, 0, 0, 0])
    answers = iter([[], [says("late")]])

    def poll(_: UmimEvent) -> list[dict[str, Any]]:
        counter = next(counters)
        return [*next(answers, []), {"type": "LocalAsyncCounter", "counter": counter}]

    conversation = Scripted({"CheckLocalAsync": poll, "UtteranceUserActionFinished": echo})
    assert await hold(conversation, "next") == ["speech: late", "speech: next!"]


async def test_a_timer_rings_while_nothing_is_typed() -> None:
    rung = asyncio.Event()

    class Silent(Lines):
        """Nobody types, and the chat is left once the timer was heard."""

        async def read(self) -> str | None:
            await rung.wait()
            return None

        def show(self, text: str, tone: Tone) -> None:
            super().show(text, tone)
            rung.set()

    timers = iter([{"type": "StartTimerBotAction", "action_uid": "t", "duration": 0.01}])
    conversation = Scripted(
        {"CheckLocalAsync": lambda _: list(timers), "TimerBotActionFinished": lambda _: [says("ring")]}
    )
    screen = Silent([])
    session = Session(clock=time.monotonic, uids=lambda: "u")
    await Driver(conversation, session, screen, time.monotonic).run()
    assert screen.shown == ["speech: ring"]


async def test_a_failed_turn_is_told_and_the_chat_goes_on() -> None:
    def fail(event: UmimEvent) -> list[dict[str, Any]]:
        if event["final_transcript"] == "bad":
            raise ConversationError("flow 'x' ran past its step budget")
        return echo(event)

    conversation = Scripted({"UtteranceUserActionFinished": fail})
    assert await hold(conversation, "bad", "good") == [
        "error: flow 'x' ran past its step budget",
        "speech: good!",
    ]


async def test_restart_and_questions_reach_the_conversation() -> None:
    conversation = Scripted()
    assert await hold(conversation, "!restart", "!tree") == ["note: about tree"]
    assert conversation.restarts == 1


async def test_leaving_ends_the_chat_at_once() -> None:
    conversation = Scripted({"UtteranceUserActionFinished": echo})
    assert await hold(conversation, "!quit", "never read") == []
    assert conversation.closed
