"""Conversations as programs with their transcript below, and the world that they talk to.

A file holds many programs, each behind a marker line `--- name: what it shows`. Below a program:

    #> Door(id=3) => Opened(n=1); Closed      an event comes in, exactly these events go out
    #> "hello" => says "hi"                   the user says something; only what the bot says is compared
    #> start => -                             the beginning of the story; nothing goes out
    #> Go => A | B                            either of them
    #> Go => ...                              whatever goes out
    #! fails to load                          and other remarks, see `Remarks`

Arguments that are not named are not compared. `@Lamp` stands for the uid of the action of that name that was started
last. The world says at once that utterances, gestures and postures have started and finished; every event that goes out
comes back once. A failure is shown in two columns.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colang import (
    Command,
    Event,
    PrintLine,
    Program,
    Send,
    Source,
    State,
    add_flows,
    begin,
    check_state,
    from_json,
    globals_of,
    load,
    new_state,
    remove_flows,
    set_globals,
    step,
    to_json,
)

MARKER = "--- "
FINISHED_AT_ONCE = ("UtteranceBotAction", "GestureBotAction", "PostureBotAction")
ANYTHING = "..."


@dataclass(frozen=True)
class Turn:
    """One line of a transcript."""

    said: str
    expected: str


@dataclass(frozen=True)
class Remarks:
    """What `#!` lines say of a program."""

    fails: str = ""
    prints: str = ""
    acts: bool = True


@dataclass(frozen=True)
class Transcript:
    name: str
    source: Source
    turns: tuple[Turn, ...]
    remarks: Remarks


def transcripts(folder: Path) -> Iterator[Transcript]:
    """The programs of all files in `folder`."""
    for path in sorted(folder.glob("*.co")):
        for part in re.split(rf"^{MARKER}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, _, text = part.partition("\n")
            yield _transcript(f"{path.stem}: {title}", text)


def _transcript(name: str, text: str) -> Transcript:
    turns, fails, prints, acts = [], "", "", True
    for line in text.splitlines():
        if line.startswith("#> "):
            said, _, expected = line[3:].partition(" => ")
            turns.append(Turn(said.strip(), expected.strip()))
        elif line.startswith("#! fails to "):
            fails = line.removeprefix("#! fails to ")
        elif line.startswith("#! prints "):
            prints = line.removeprefix("#! prints ")
        elif line == "#! nobody acts":
            acts = False
    program = "\n".join(line for line in text.splitlines() if not line.startswith(("#>", "#!")))
    return Transcript(name, Source(name, program + "\n"), tuple(turns), Remarks(fails, prints, acts))


# --- the world ---------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Carries out commands: feeds events back, runs the actions it knows, acknowledges what the bot does."""

    program: Program
    state: State
    acts: bool = True
    saves: bool = False
    """Write the state to JSON and read it back before every call."""
    printed: list[str] = field(default_factory=list)
    started: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def tell(self, events: Iterable[Event]) -> list[Event]:
        """What goes out after `events`, each given in a call of its own, and after what the world does about it."""
        waiting = list(events)
        sent: list[Event] = []
        while True:
            out = self.call(waiting[:1])
            waiting = waiting[1:]
            for event in out:
                waiting += self._reactions(event)
            sent += out
            if not waiting:
                return sent

    def call(self, events: list[Event]) -> list[Event]:
        """One call into the runtime, as a transaction."""
        if self.saves:
            self.state = from_json(self.program, to_json(self.program, self.state))
        saved, self.state = self.state, self.state.fork()
        before = to_json(self.program, saved)
        commands = begin(self.program, self.state)
        out: list[Event] = []
        results: list[Event] = []
        while events or commands:
            for event in events:
                commands += step(self.program, self.state, event)
            events, commands = self._carry_out(commands, out, results), []
            if not events:
                events, results = results, []
        check_state(self.state)
        assert to_json(self.program, saved) == before, "a fork has changed the state it came from"
        return out

    def _carry_out(self, commands: list[Command], out: list[Event], results: list[Event]) -> list[Event]:
        again = []
        for command in commands:
            if isinstance(command, PrintLine):
                self.printed.append(command.text)
            elif isinstance(command, Send):
                event = command.event
                again.append(self.stamp(event.name, dict(event.arguments)))
                action = event.name.removeprefix("Start")
                if action in ACTIONS and event.name.startswith("Start"):
                    results.append(self._run(action, event))
                else:
                    out.append(event)
        return again

    def _run(self, action: str, event: Event) -> Event:
        arguments = {name: value for name, value in event.arguments.items() if name != "action_uid"}
        try:
            value = ACTIONS[action](self, **arguments)
        except ZeroDivisionError:
            value = None
        uid = event.arguments["action_uid"]
        return self.stamp(f"{action}Finished", {"action_uid": uid, "return_value": value, "is_success": True})

    def _reactions(self, event: Event) -> list[Event]:
        if not event.name.startswith("Start") or "action_uid" not in event.arguments:
            return []
        action, uid = event.name.removeprefix("Start"), event.arguments["action_uid"]
        self.started[action] = uid
        if not self.acts or action not in FINISHED_AT_ONCE:
            return []
        script = {"final_script": event.arguments["script"]} if action == "UtteranceBotAction" else {}
        about = {"action_uid": uid}
        return [
            self.stamp(f"{action}Started", about),
            self.stamp(f"{action}Finished", {**about, "is_success": True, **script}),
        ]

    def stamp(self, name: str, arguments: dict[str, Any]) -> Event:
        """Every event that comes in has an identity and a time; the machine counts them as arguments."""
        number = next(self._numbers)
        return Event(
            name, {"uid": f"e{number}", "event_created_at": f"t{number}", "source_uid": "world", **arguments}
        )

    # --- from transcript lines to events -------------------------------------------------------------------------

    def events(self, said: str) -> list[Event]:
        if said == "start":
            return []
        if said.startswith('"'):
            about = {"action_uid": f"u{next(self._numbers)}"}
            heard = {"final_transcript": ast.literal_eval(said), "is_success": True}
            return [
                self.stamp("UtteranceUserActionStarted", about),
                self.stamp("UtteranceUserActionFinished", {**about, **heard}),
            ]
        return [self._event(part) for part in said.split("; ")]

    def _event(self, text: str) -> Event:
        name, arguments = parse_event(text)
        for key, value in arguments.items():
            if isinstance(value, str) and value.startswith("@"):
                arguments[key] = self.started.get(value[1:], value)
        if "Action" in name:
            arguments.setdefault("action_uid", f"u{next(self._numbers)}")
        return self.stamp(name, arguments)


def parse_event(text: str) -> tuple[str, dict[str, Any]]:
    """`Name(a=1)` to a name and arguments; `@Action` may stand for a value."""
    name, _, rest = text.partition("(")
    if not rest:
        return name, {}
    quoted = re.sub(r"=@(\w+)", r"='@\1'", f"f({rest}")
    call = ast.parse(quoted, mode="eval").body
    assert isinstance(call, ast.Call)
    return name, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


ACTIONS: dict[str, Any] = {
    "TestAddAction": lambda _, a, b=10: a + b,
    "TestFailAction": lambda _: 1 / 0,
    "TestRecordAction": lambda _: {"name": "Ada", "age": 36, "tags": ["x", "y"], "nested": {"k": 1}},
    "TestContextAction": lambda world, key, value: set_globals(world.state, {key: value}) or "done",
    "TestReadAction": lambda world, name: globals_of(world.state).get(name),
    "AddFlowsAction": lambda world, config: add_flows(world.program, world.state, config),
    "RemoveFlowsAction": lambda world, flow_ids: remove_flows(world.program, world.state, flow_ids),
}


# --- running and comparing ---------------------------------------------------------------------------------------


@functools.cache
def loaded(source: Source) -> Program:
    """Programs are never changed, so the tests share them."""
    return load([source], config={"colang_version": "2.x"})


def play(transcript: Transcript, *, seed: int = 7, saves: bool = False) -> list[tuple[Turn, list[Event]]]:
    """The turns of a transcript with what really went out; ends with a look at what was printed."""
    program = loaded(transcript.source)
    world = World(program, new_state(program, seed), acts=transcript.remarks.acts, saves=saves)
    if not transcript.turns or transcript.turns[0].said != "start":
        world.tell([])
    played = [(turn, world.tell(world.events(turn.said))) for turn in transcript.turns]
    if transcript.remarks.prints:
        assert "; ".join(f'"{line}"' for line in world.printed) == transcript.remarks.prints
    return played


def columns(played: list[tuple[Turn, list[Event]]]) -> str:
    """Expected on the left, what happened on the right; empty if they agree."""
    rows = [
        (turn.said, turn.expected, shown(turn, sent), agrees(turn.expected, sent)) for turn, sent in played
    ]
    if all(row[3] for row in rows):
        return ""
    width = max(len(expected) for _, expected, _, _ in rows)
    lines = [f"{'  ' if ok else '! '}{said}\n    {left:<{width}} | {right}" for said, left, right, ok in rows]
    return "\n".join(["", *lines])


def shown(turn: Turn, sent: list[Event]) -> str:
    if turn.expected.startswith("says"):
        return "says " + (", ".join(repr(text) for text in _said(sent)) or "nothing")
    return "; ".join(f"{event.name}({_arguments(event)})" for event in sent) or "-"


def _arguments(event: Event) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in event.arguments.items() if name != "action_uid")


def agrees(expected: str, sent: list[Event]) -> bool:
    if expected == ANYTHING:
        return True
    if expected.startswith("says "):
        texts = expected.removeprefix("says ")
        return _said(sent) == ([] if texts == "nothing" else list(ast.literal_eval(f"({texts},)")))
    return any(_same(choice, sent) for choice in expected.split(" | "))


def _said(sent: list[Event]) -> list[Any]:
    return [event.arguments.get("script") for event in sent if event.name == "StartUtteranceBotAction"]


def _same(expected: str, sent: list[Event]) -> bool:
    wanted = [] if expected == "-" else [parse_event(part) for part in expected.split("; ")]
    return len(wanted) == len(sent) and all(
        name == event.name and _within(arguments, dict(event.arguments))
        for (name, arguments), event in zip(wanted, sent, strict=True)
    )


def _within(expected: Any, actual: Any) -> bool:
    """Every expected key has an equal value; lists agree element by element."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and _within(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list) and len(expected) == len(actual) and all(map(_within, expected, actual))
        )
    return bool(expected == actual)
