"""Conflicts: of all heads that want to act in one interaction loop at one moment, one wins.

The head with the greatest score list acts. Heads that would do exactly the same act with it: they share its action.
All others have lost: their branch goes to its handler, or their flow fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colang.errors import ColangRuntimeError, ColangValueError
from colang.instructions import ActionForm, EventForm, MemberForm, Send
from colang.machine.actions import release_action
from colang.machine.heads import best, fail_head
from colang.machine.matching import resolve, sized_arguments
from colang.machine.run import EngineFault, Run
from colang.machine.slide import advance
from colang.machine.state import Head, Instance, Place
from colang.values import ActionRef, EventRef


@dataclass(frozen=True, slots=True)
class Intent:
    """An event that a head wants to send, with its arguments evaluated."""

    instance: Instance
    head: Head
    name: str
    arguments: Mapping[str, Any]
    action_uid: str | None = None

    @property
    def starts(self) -> bool:
        """True for the start of an action."""
        return self.action_uid is not None and self.name.startswith("Start")

    def same(self, other: Intent) -> bool:
        """Equal events; a fresh action's uid says nothing about what it does."""
        if self.name != other.name or self.arguments != other.arguments:
            return False
        return self.action_uid == other.action_uid or (self.starts and other.starts)


def resolve_conflicts(run: Run) -> None:
    """Let every loop's winner act, and move everybody on."""
    waiting, run.sending = run.sending, {}
    groups: dict[str, list[Intent]] = {}
    for uid, number in waiting:
        instance = run.state.instances.get(uid)
        if instance is None or number not in instance.heads:
            continue
        instance = run.state.own(uid)
        intent = _intent(run, instance, instance.heads[number])
        if intent is not None:
            groups.setdefault(instance.loop_id, []).append(intent)
    moving: list[tuple[Instance, Head]] = []
    for intents in groups.values():
        _resolve_group(run, intents, moving)
    for instance, head in moving:
        if head.number in instance.heads:
            advance(run, instance, head)


def _intent(run: Run, instance: Instance, head: Head) -> Intent | None:
    """Evaluate what a head wants to send; if that fails, so does the head."""
    try:
        return _evaluate(run, instance, head)
    except ColangRuntimeError as error:
        run.fail(instance.flow, head.pc, error)
    following = fail_head(run, instance, head, head.scores)
    if following is not None:
        advance(run, instance, following)
    return None


def _evaluate(run: Run, instance: Instance, head: Head) -> Intent:
    instruction = instance.flow.code[head.pc]
    form = instruction.form if isinstance(instruction, Send) else None
    if isinstance(form, MemberForm):
        return _member_intent(run, instance, head, form)
    if not isinstance(form, (EventForm, ActionForm)):  # pragma: no cover - lowering sends nothing else
        raise ColangRuntimeError("this cannot be sent")
    # Only now that all heads have slid: what one of them assigned meanwhile, the others send.
    arguments = sized_arguments(run, instance, form.arguments)
    name = form.name if isinstance(form, EventForm) else form.action + form.member
    _validate(instance, head, name, arguments)
    return Intent(instance, head, name, arguments)


def _member_intent(run: Run, instance: Instance, head: Head, form: MemberForm) -> Intent:
    target = resolve(run, instance, form)
    if isinstance(target, EventRef):
        raise ColangValueError("Events have no event attributes!")
    if not isinstance(target, ActionRef):
        raise ColangRuntimeError(f"Unsupported type '{type(target).__name__}' of ${form.variable}")
    action = run.state.own_action(target.uid)
    given = sized_arguments(run, instance, form.arguments)
    if form.member == "Start":
        given = action.arguments
    elif form.member == "Change":
        given = given.get("arguments", given)
    elif form.member != "Stop":
        raise ColangRuntimeError(f"Invalid action event {form.member}!")
    name = f"{form.member}{action.name}"
    _validate(instance, head, name, given)
    return Intent(instance, head, name, given, action.uid)


_TEXTS = {"StartUtteranceBotAction": "script"}


def _validate(instance: Instance, head: Head, name: str, arguments: Mapping[str, Any]) -> None:
    """The world's side of an utterance is text; anything else is an error of the engine, not of the flow."""
    wanted = _TEXTS.get(name)
    if wanted and not isinstance(arguments.get(wanted), str):
        fault = ColangRuntimeError(f"{name} needs a text `{wanted}`, not {arguments.get(wanted)!r}")
        raise EngineFault(fault, instance.flow, head.pc, "AssertionError")


def _resolve_group(run: Run, intents: list[Intent], moving: list[tuple[Instance, Head]]) -> None:
    heads = [intent.head for intent in intents]
    winning = intents[0] if len(intents) == 1 else intents[heads.index(best(run, heads))]
    _act(run, winning)
    for intent in intents:
        if intent is winning:
            moving.append((intent.instance, _pass(run, intent, winning)))
        elif intent.same(winning):
            # Wanting the same is no conflict: the event is sent once, and all who wanted it go on.
            _share(run, intent, winning)
            moving.append((intent.instance, _pass(run, intent, winning)))
        elif intent.head.number in intent.instance.heads:
            # It may be gone by now: who failed before it in this loop can have been its sibling.
            _lose(run, intent.instance, intent.head, moving)


def _act(run: Run, intent: Intent) -> None:
    arguments = dict(intent.arguments)
    if intent.action_uid is not None:
        arguments["action_uid"] = intent.action_uid
        action = run.state.own_action(intent.action_uid)
        if intent.name.startswith("Start"):
            action.status = "starting"
        elif intent.name.startswith("Stop") and not action.over:
            action.status = "stopping"
    run.emit(intent.name, arguments, intent.instance.uid)


def _pass(run: Run, intent: Intent, winner: Intent) -> Head:
    """The head is over its `Send`."""
    instruction = intent.instance.flow.code[intent.head.pc]
    if isinstance(instruction, Send) and instruction.name and winner.action_uid is not None:
        event = EventRef(winner.name, dict(winner.arguments), intent.instance.uid, winner.action_uid)
        run.at(intent.instance).write(instruction.name, event)
    intent.head.place = Place.MOVING
    intent.head.pc += 1
    return intent.head


def _share(run: Run, intent: Intent, winner: Intent) -> None:
    """The same action was asked for twice: the other flow uses the winner's."""
    old, new = intent.action_uid, winner.action_uid
    if old is None or new is None or old == new or not intent.starts:
        return
    instance = intent.instance
    # References were handed out when the action was made, before it was known that another one would stand for it.
    variables = run.at(instance).variables()
    for table in (instance.locals, variables.locals, run.state.globals):
        for name, value in table.items():
            if value == ActionRef(old):
                table[name] = ActionRef(new)
    instance.actions = tuple(new if uid == old else uid for uid in instance.actions)
    instance.scopes = {
        scope: tuple((kind, new if uid == old else uid) for kind, uid in members)
        for scope, members in instance.scopes.items()
    }
    action = run.state.own_action(new)
    action.owners = (*action.owners, instance.uid)
    release_action(run, old, instance.uid)


def _lose(run: Run, instance: Instance, head: Head, moving: list[tuple[Instance, Head]]) -> None:
    following = fail_head(run, instance, head, head.scores, lost=True)
    if following is not None:
        moving.append((instance, following))
