"""Colang 1.0 dialogs translated to the flows of 2.x: which behave alike on its stepper, and which cannot.

This is the evidence behind `docs/colang-1-on-one-stepper.md`. Intents come in as events, `bot X` sends one and waits
until it was said; the expected turns are those of the 1.0 behaviour cases of the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from colang import Command, Event, Program, Send, Source, State, begin, load, new_state, step

Turns = list[list[str]]


@dataclass(frozen=True)
class Dialog:
    """Flows in the lines of 1.0, the intents of the user, what the bot answers to each, and what it would on one stepper."""

    name: str
    flows: dict[str, str]
    intents: list[str]
    answers: Turns
    on_one_stepper: Turns | None = None


ORDER = "user tea; bot pour; user bill; bot total"
WAITING = "when user bill;   bot total; or when user ...;   abort"
LOOP = "$n = 0; while $n < 9;   $n = $n + 1;   if $n == 2;     continue;   if $n == 4;     break;   bot pour"
GUARDED = "global $on; if $on;   user tea;   bot pour; else;   user tea;   bot total"
SWITCH = "user cake; global $on; $on = True; bot serve"

ALIKE = [
    Dialog("multi_turn", {"order": ORDER}, ["tea", "bill"], [["pour"], ["total"]]),
    Dialog(
        "interrupt_resume",
        {"order": ORDER, "cake": "user cake; bot serve"},
        ["tea", "cake", "bill"],
        [["pour"], ["serve"], ["total"]],
    ),
    Dialog("singleton", {"order": ORDER}, ["tea", "tea", "bill"], [["pour"], [], ["total"]]),
    Dialog(
        "parallel",
        {"order": ORDER.replace("bot pour", "start_new_flow_instance:; bot pour")},
        ["tea", "tea", "bill"],
        [["pour"], ["pour"], ["total"]],
    ),
    Dialog(
        "continuous",
        {"order": f"user tea; bot pour; {WAITING}", "cake": "user cake; bot serve"},
        ["tea", "cake", "bill"],
        [["pour"], ["serve"], []],
    ),
    Dialog(
        "tie_first_declared", {"one": "user tea; bot pour", "two": "user tea; bot total"}, ["tea"], [["pour"]]
    ),
    Dialog(
        "priority",
        {"one": "priority 0.5; user tea; bot pour", "two": "priority 1.0; user tea; bot total"},
        ["tea"],
        [["total"]],
    ),
    Dialog(
        "split_after_agreement",
        {"one": "user tea; bot pour; user cake; bot serve", "two": ORDER},
        ["tea", "bill"],
        [["pour"], ["total"]],
    ),
    Dialog(
        "when",
        {"a": "user tea; bot pour; when user cake;   bot serve; or when user bill;   bot total; bot pour"},
        ["tea", "hm", "bill"],
        [["pour"], [], ["total", "pour"]],
    ),
    Dialog("while", {"a": f"user tea; {LOOP}; bot total"}, ["tea"], [["pour", "pour", "total"]]),
    Dialog(
        "sub_waits",
        {"a": "user tea; settle; bot pour", "settle": "bot total; user bill; bot serve"},
        ["tea", "bill"],
        [["total"], ["serve", "pour"]],
    ),
]

UNLIKE = [
    Dialog(
        "waiting_beats_new",
        {"short": "user bill; bot serve", "long": ORDER},
        ["tea", "bill"],
        [["pour"], ["total"]],
        on_one_stepper=[["pour"], ["serve"]],
    ),
    Dialog(
        "trailing_flow",
        {"one": "user tea; bot pour; bot total", "after": "said pour; bot serve"},
        ["tea"],
        [["pour", "serve"]],
        on_one_stepper=[["pour", "total"]],
    ),
    Dialog(
        "extension",
        {"one": "user tea; bot pour; bot total", "after": "said pour; bot serve"},
        ["tea"],
        [["pour", "serve", "total"]],
        on_one_stepper=[["pour", "total"]],
    ),
    Dialog(
        "guard_before_the_intent",
        {"switch": SWITCH, "a": GUARDED},
        ["tea", "cake", "tea"],
        [["total"], ["serve"], ["pour"]],
        on_one_stepper=[["total"], ["serve"], ["total"]],
    ),
]


def translated(dialog: Dialog) -> Source:
    """The dialog in Colang 2.x, every flow but subflows activated."""
    lines = ["flow main"]
    lines += [f"  activate {name}" for name in dialog.flows if name != "settle"]
    lines.append("  match Never()")
    for name, body in dialog.flows.items():
        lines += [f"flow {name}", *(f"  {line}" for part in body.split("; ") for line in _translated(part))]
    return Source(dialog.name, "\n".join(lines))


def _translated(line: str) -> Iterable[str]:
    pattern = re.compile(r"(\s*)((?:or )?when )?(user|bot|said) (\S+)")
    match = pattern.fullmatch(line)
    if match is None:
        return [line]
    indent, when, kind, name = match.groups()
    intent = "" if name == "..." else f'intent="{name}"'
    if kind == "user":
        return [f"{indent}{when or 'match '}UserIntent({intent})"]
    said = f"{indent}match BotSaid({intent})"
    return [said] if kind == "said" else [f"{indent}send BotIntent({intent})", said]


def answers(dialog: Dialog) -> Turns:
    """What the bot says to each intent, when every intent of the bot is said at once."""
    program = load([translated(dialog)])
    state = new_state(program)
    _drain(program, state, begin(program, state))
    turns = []
    for intent in dialog.intents:
        started = begin(program, state)
        heard = step(program, state, Event("UserIntent", {"intent": intent}))
        turns.append(_drain(program, state, [*started, *heard]))
    return turns


def _drain(program: Program, state: State, commands: list[Command]) -> list[str]:
    said = []
    waiting = [command.event for command in commands if isinstance(command, Send)]
    while waiting:
        event = waiting.pop(0)
        said.append(str(event.arguments["intent"]))
        for heard in (event, Event("BotSaid", event.arguments)):
            waiting += [command.event for command in step(program, state, heard) if isinstance(command, Send)]
    return said


@pytest.mark.parametrize("dialog", ALIKE, ids=lambda dialog: dialog.name)
def test_a_dialog_that_one_stepper_answers_alike(dialog: Dialog) -> None:
    assert answers(dialog) == dialog.answers


@pytest.mark.parametrize("dialog", UNLIKE, ids=lambda dialog: dialog.name)
def test_a_dialog_that_one_stepper_answers_otherwise(dialog: Dialog) -> None:
    assert answers(dialog) == dialog.on_one_stepper != dialog.answers
