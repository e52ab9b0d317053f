"""The thinking part of the chat: it takes what happened and returns what to do.

Nothing here reads, prints, sleeps or calls a model. The clock is a parameter, so a test writes a whole conversation with
its timers as a transcript.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.cli.chat.bot_actions import PERFORMANCES
from app.cli.chat.syntax import EventSyntaxError, TypedEvent, parse_event
from app.cli.chat.timers import Timers
from app.cli.chat.values import Command, Inspect, Leave, Restart, Show, Tell, Tone, UmimEvent

POLL_SECONDS: Final = 0.2
"""How often local actions that still run are asked for."""

POLL: Final = Tell(({"type": "CheckLocalAsync"},))

HELP: Final = """\
Type what you want to say. Besides that:
  /EventName(key=value)          inject an event; /SomeAction.Finished(key=value) for one of an action
  !flows [--all] [--order-by-name]   the active flows (all of them), by priority or by name
  !flow NAME_OR_UID              everything about a flow or one of its instances
  !tree [--all]                  who started whom
  !pause, !resume                halt the timers, go on
  !restart                       begin the conversation anew
  !help                          this page
An empty line asks for the results of actions that still run. Leave with Ctrl+D, or Ctrl+C twice."""

QUESTIONS: Final = ("flow", "flows", "tree")


class Session:
    """One conversation as seen from the chat: running actions, timers, and what is still awaited.

    Each method returns the commands to carry out in order. After the events of every `Tell` have been processed and
    their outcome was reported by `happened`, the owner calls `settled` once.
    """

    def __init__(self, clock: Callable[[], float], uids: Callable[[], str]) -> None:
        self._clock = clock
        self._uids = uids
        self._forget()

    def _forget(self) -> None:
        self._timers = Timers()
        self._running: dict[str, str] = {}  # action uid to action name, in the order they started
        self._awaited = 0
        self._poll_at: float | None = None
        self._polled = False

    @property
    def busy(self) -> bool:
        """True while local actions run whose results the conversation waits for."""
        return self._awaited > 0

    def next_due(self) -> float | None:
        """When `tick` has something to do; None while only a line can go on."""
        return min((due for due in (self._timers.next_due(), self._poll_at) if due is not None), default=None)

    def begin(self) -> list[Command]:
        """Start the conversation: a story may open with words of the bot."""
        return [Tell(())]

    def typed(self, line: str) -> list[Command]:
        """The user entered a line."""
        text = line.strip()
        if not text:
            return [POLL]
        self._polled = False
        if text.startswith("!"):
            return self._debug(text[1:].strip())
        if text.startswith("/"):
            return self._injected(text[1:])
        return [self._said(text)]

    def tick(self) -> list[Command]:
        """Time passed: ring the timers that ran out, and ask for results that are awaited."""
        now = self._clock()
        ringing = [self._finished(uid) for uid in self._timers.pop_due(now)]
        if ringing:
            self._polled = False
            return [Tell(tuple(ringing))]
        if self._poll_at is not None and self._poll_at <= now:
            self._poll_at = None
            return [POLL]
        return []

    def failed(self) -> None:
        """The events just told were not processed: what was awaited will not come."""
        self._awaited, self._poll_at = 0, None

    def settled(self) -> list[Command]:
        """All events told so far are processed: ask once whether local actions are still running."""
        if self._polled:
            return []
        self._polled = True
        return [POLL]

    def happened(self, event: UmimEvent) -> list[Command]:
        """The conversation sent an event."""
        name = str(event["type"])
        if name == "LocalAsyncCounter":
            self._awaited = int(event.get("counter", 0))
            self._poll_at = self._clock() + POLL_SECONDS if self._awaited else None
            return []
        if name.endswith("Action"):
            for verb, answer in (("Start", self._start), ("Stop", self._stop), ("Change", self._change)):
                if name.startswith(verb):
                    return answer(name.removeprefix(verb), event)
        return [Show(f"Event: {name}{_arguments(event)}", Tone.EVENT)]

    # --- actions -----------------------------------------------------------------------------------------------

    def _start(self, action: str, event: UmimEvent) -> list[Command]:
        uid = str(event["action_uid"])
        self._running[uid] = action
        performance = PERFORMANCES.get(action)
        if performance is None:
            return [Show(f"Event: {event['type']}{_arguments(event)}", Tone.EVENT)]
        started = {"type": f"{action}Started", "action_uid": uid}
        if action == "TimerBotAction":
            self._timers.set(uid, float(event.get("duration") or 0), self._clock())
        if performance.lasting:
            return [*performance.show(event), Tell((started,))]
        return [*performance.show(event), Tell((started, self._finished(uid, performance.result(event))))]

    def _stop(self, _: str, event: UmimEvent) -> list[Command]:
        uid = str(event["action_uid"])
        if uid not in self._running:
            return []
        self._timers.cancel(uid)
        return [Tell((self._finished(uid, {"was_stopped": True}),))]

    def _change(self, action: str, event: UmimEvent) -> list[Command]:
        performance = PERFORMANCES.get(action)
        return [*performance.show(event)] if performance else []

    def _finished(self, uid: str, result: Mapping[str, Any] | None = None) -> UmimEvent:
        action = self._running.pop(uid)
        return {"type": f"{action}Finished", "action_uid": uid, "is_success": True, **(result or {})}

    # --- lines -------------------------------------------------------------------------------------------------

    def _said(self, text: str) -> Tell:
        uid = self._uids()
        finished = {"type": "UtteranceUserActionFinished", "action_uid": uid, "final_transcript": text}
        return Tell(
            (
                {"type": "UtteranceUserActionStarted", "action_uid": uid},
                {**finished, "is_success": True},
            )
        )

    def _injected(self, text: str) -> list[Command]:
        try:
            event = parse_event(text)
        except EventSyntaxError as error:
            return [Show(str(error), Tone.ERROR)]
        return [Tell(({"type": event.name, **self._linked(event), **event.arguments},))]

    def _linked(self, event: TypedEvent) -> dict[str, str]:
        """The uid that ties an event to its action: the latest one of that name, a new one where none runs."""
        if event.action is None:
            return {}
        uid = next(
            (uid for uid, name in reversed(self._running.items()) if name == event.action), self._uids()
        )
        if event.name.endswith("Started"):
            self._running[uid] = event.action
        elif event.name.endswith("Finished"):
            self._running.pop(uid, None)
            self._timers.cancel(uid)
        return {"action_uid": uid}

    def _debug(self, question: str) -> list[Command]:
        word = question.partition(" ")[0]
        if word == "restart":
            self._forget()
            return [Restart(), *self.begin()]
        if word == "pause":
            self._timers.halt(self._clock())
            return [Show("Paused: timers stand still until !resume.", Tone.NOTE)]
        if word == "resume":
            self._timers.go_on(self._clock())
            return [Show("Resumed.", Tone.NOTE)]
        if word in QUESTIONS:
            return [Inspect(question)]
        if word == "help":
            return [Show(HELP, Tone.NOTE)]
        if word in {"exit", "quit"}:
            return [Leave()]
        return [Show(f"There is no command !{word}; see !help.", Tone.ERROR)]


HIDDEN: Final = {"type", "uid", "event_created_at", "source_uid", "action_uid"}


def _arguments(event: UmimEvent) -> str:
    """The arguments of an event as a user would write them, without the bookkeeping."""
    shown = {
        k: v
        for k, v in event.items()
        if k not in HIDDEN and not k.startswith(("action_info", "action_started"))
    }
    return f"({', '.join(f'{k}={v!r}' for k, v in itertools.islice(shown.items(), 8))})" if shown else ""
