"""Bot actions in a text chat: what each kind looks like, and how it answers the conversation.

A conversation asks for an action with `Start<Action>` and waits to hear `<Action>Started` and `<Action>Finished`. Here a
table says for each action what the user gets to see, and whether it is over at once (speech, gestures) or lasts until
it is stopped (postures, scenes, timers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cli.chat.values import Show, Tone


@dataclass(frozen=True, slots=True)
class Performance:
    """How one kind of action is played."""

    picture: Callable[[Mapping[str, Any]], str]
    """From the action's arguments to the text on the screen; empty for nothing."""
    tone: Tone
    lasting: bool
    """True where it goes on until it is stopped."""
    result: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Further arguments of its `Finished` event."""

    def show(self, arguments: Mapping[str, Any]) -> list[Show]:
        """What the user sees of the action; nothing where it has no picture."""
        text = self.picture(arguments)
        return [Show(text, self.tone)] if text else []


def _nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _information(arguments: Mapping[str, Any]) -> str:
    parts = [part for part in arguments.get("content") or () if isinstance(part, Mapping)]
    lines = [
        f"Scene information: {arguments.get('title', '')}",
        str(arguments.get("summary") or ""),
        *(str(part.get("text") or f"[{part.get('image', '')}]") for part in parts),
    ]
    return "\n".join(line for line in lines if line)


def _labelled(part: Mapping[str, Any], label: str) -> str:
    """What the user reads, with the id that an answer has to name where it is another text."""
    uid, text = str(part.get("id", "")), str(part.get(label) or "")
    return f"{text} ({uid})" if text and uid and text != uid else text or uid


def _choice(arguments: Mapping[str, Any]) -> str:
    options = [
        _labelled(option, "text") for option in arguments.get("options") or () if isinstance(option, Mapping)
    ]
    return "\n".join([f"Scene choice: {arguments.get('prompt', '')}", *options])


def _form(arguments: Mapping[str, Any]) -> str:
    inputs = [
        _labelled(field, "description")
        for field in arguments.get("inputs") or ()
        if isinstance(field, Mapping)
    ]
    return "\n".join([f"Scene form: {arguments.get('prompt', '')}", *inputs])


PERFORMANCES: Mapping[str, Performance] = {
    "UtteranceBotAction": Performance(
        picture=lambda a: str(a.get("script", "")),
        tone=Tone.SPEECH,
        lasting=False,
        result=lambda a: {"final_script": a.get("script", "")},
    ),
    "GestureBotAction": Performance(
        lambda a: f"Gesture: {a.get('gesture', '')}", Tone.SCENE, False, _nothing
    ),
    "FacialGestureBotAction": Performance(
        lambda a: f"Facial gesture: {a.get('facial_gesture', '')}", Tone.SCENE, False, _nothing
    ),
    "PostureBotAction": Performance(
        lambda a: f"Posture: {a.get('posture', '')}.", Tone.SCENE, True, _nothing
    ),
    "VisualInformationSceneAction": Performance(_information, Tone.SCENE, True, _nothing),
    "VisualChoiceSceneAction": Performance(_choice, Tone.SCENE, True, _nothing),
    "VisualFormSceneAction": Performance(_form, Tone.SCENE, True, _nothing),
    "TimerBotAction": Performance(lambda _: "", Tone.NOTE, True, _nothing),
}
