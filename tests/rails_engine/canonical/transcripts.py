"""Conversations in Colang 1.0 as programs with their transcript below, run through `LLMRails`.

A file holds many programs, each behind a marker line `--- name: what it shows`. Below a program:

    #! config: {"rails": {"input": {"flows": ["check in"]}}}   what its config.yml says beside the version
    #! model: ["tea", "bot pour"]                              what the model answers, call by call
    #! fails: load, Unknown main token                         loading or running it fails, with this text
    #! differs: the peer says ...                              it behaves otherwise than the peer, and why
    #> "tea please" => says "Here is tea."; UserIntent(intent="tea"); not BotMessage
    #> Ping(level=1) => says nothing                           an event comes in
    #> context(name="Kim") "tea please" => says "Hi Kim"       a variable is set first
    #> "tea" => says "a" | says "b"                            either of them

Behind what the bot says stand events that must occur in this order, by the properties that are named. A program begins
with the tea house of `PRELUDE`, unless it says `#! prelude: none`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.testing import FakeLLMModel

PRELUDE = """\
define user tea
  "tea please"
define user cake
  "cake please"
define user bill
  "the bill"
define bot pour
  "Here is tea."
define bot serve
  "Here is cake."
define bot total
  "Five coins."
"""
_MARKER = "--- "
_CALL = re.compile(r"\w+(?:\((?:[^()\"']|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\([^)]*\))*\))?")
_REMOVE_LAST = "(remove last message)"

Event = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One line of a transcript."""

    said: str
    expected: str


@dataclass(frozen=True)
class Transcript:
    name: str
    program: str
    config: Event
    model: list[str]
    fails: tuple[str, str] | None
    turns: tuple[Turn, ...]


def transcripts(folder: Path) -> Iterator[Transcript]:
    """The programs of all files in `folder`."""
    for path in sorted(folder.glob("*.co")):
        for block in re.split(rf"^{_MARKER}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name, _, body = block.partition("\n")
            yield _transcript(f"{path.stem}: {name}", body)


def _transcript(name: str, body: str) -> Transcript:
    remarks: dict[str, str] = {}
    turns: list[Turn] = []
    program: list[str] = []
    for line in body.splitlines():
        if line.startswith("#! "):
            key, _, value = line[3:].partition(": ")
            remarks[key] = value
        elif line.startswith("#> "):
            said, _, expected = line[3:].partition(" => ")
            turns.append(Turn(said, expected))
        else:
            program.append(line)
    text = "\n".join(program)
    stage, _, message = remarks.get("fails", "").partition(", ")
    return Transcript(
        name=name,
        program=text if "prelude" in remarks else PRELUDE + text,
        config=json.loads(remarks.get("config", "{}")),
        model=json.loads(remarks.get("model", "[]")),
        fails=(stage, message) if stage else None,
        turns=tuple(turns),
    )


class Conversation:
    """Plays a transcript: the history grows by what comes in and what follows from it."""

    def __init__(self, transcript: Transcript) -> None:
        content = {"colang_version": "1.0", "models": [], **transcript.config}
        config = RailsConfig.from_content(transcript.program, yaml_content=json.dumps(content))
        self.model = FakeLLMModel(responses=list(transcript.model))
        self._rails = LLMRails(config, llm=self.model)
        for name, function in ACTIONS.items():
            self._rails.register_action(function, name)
        self._history: list[Event] = []

    async def take(self, turn: Turn) -> list[str]:
        """What is wrong with the answer to one turn."""
        self._history += _inputs(turn.said)
        new = await self._rails.generate_events_async(self._history)
        self._history += new
        wrong = [_differences(choice, new) for choice in turn.expected.split(" | ")]
        return [] if [] in wrong else wrong[0]


def _inputs(said: str) -> Iterator[Event]:
    rest = said
    match = _CALL.match(rest)
    if match and rest.startswith("context("):
        yield {"type": "ContextUpdate", "data": _properties(match.group())}
        rest = rest[match.end() :].strip()
    if rest.startswith('"'):
        yield {"type": "UtteranceUserActionFinished", "final_transcript": ast.literal_eval(rest)}
    elif rest:
        yield {"type": _name(rest), **_properties(rest)}


def _differences(expected: str, events: list[Event]) -> list[str]:
    said, *rest = expected.split("; ")
    spoken = _spoken(events)
    wrong = []
    if said.startswith("says "):
        wanted = [] if said == "says nothing" else ast.literal_eval(f"[{said.removeprefix('says ')}]")
        wrong += [f"expected {wanted!r} to be said, not {spoken!r}"] * (wanted != spoken)
    else:
        rest = [said, *rest]
    remaining = iter(events)
    for item in rest:
        if item.startswith("not "):
            name = item.removeprefix("not ")
            wrong += [f"unexpected {name}"] * any(event["type"] == name for event in events)
        elif not any(_fits(item, event) for event in remaining):
            wrong.append(f"expected {item} among {[event['type'] for event in events]}")
    return wrong


def _spoken(events: list[Event]) -> list[str]:
    texts: list[str] = []
    for event in events:
        if event["type"] == "StartUtteranceBotAction":
            texts = texts[:-1] if event["script"] == _REMOVE_LAST else [*texts, event["script"]]
    return texts


def _fits(expected: str, event: Event) -> bool:
    return event["type"] == _name(expected) and _covers(_properties(expected), event)


def _covers(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and _covers(value, found[key]) for key, value in wanted.items()
        )
    return bool(wanted == found)


def _name(call: str) -> str:
    return call.partition("(")[0].strip()


def _properties(call: str) -> Event:
    node = ast.parse(call, mode="eval").body
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords}


# --- the actions of the world --------------------------------------------------------------------------------------


async def add(a: int, b: int = 10) -> int:
    return a + b


async def fail() -> None:
    raise RuntimeError("boom")


async def record() -> Event:
    return {"name": "Ada", "age": 36, "tags": ["x", "y"], "nested": {"k": 1}}


async def set_context(key: str, value: Any) -> ActionResult:
    return ActionResult(return_value="done", context_updates={key: value})


def is_short(text: str, limit: int = 12) -> bool:
    return len(text) <= limit


async def echo(value: Any = None) -> Any:
    return value


async def read(name: str, context: Event | None = None) -> Any:
    return (context or {}).get(name)


ACTIONS = {
    "test_add": add,
    "test_echo": echo,
    "test_fail": fail,
    "test_record": record,
    "test_context": set_context,
    "test_read": read,
    "is_short": is_short,
}
