"""Events at the border: stamps, modality hints, refusals."""

from __future__ import annotations

import pytest

from colang import Event
from rails_engine import umim


def test_an_outgoing_action_event_is_complete() -> None:
    event = umim.stamped(Event("StartGestureBotAction", {"action_uid": "a1", "gesture": "wave"}), "me")
    out = umim.as_dict(event)
    assert out["type"] == "StartGestureBotAction"
    assert out["gesture"] == "wave"
    assert (out["action_info_modality"], out["action_info_modality_policy"]) == ("bot_gesture", "override")
    assert out["source_uid"] == "me"
    assert {"uid", "event_created_at"} <= out.keys()


def test_a_custom_event_gets_a_stamp_and_nothing_more() -> None:
    out = umim.as_dict(umim.stamped(Event("Custom", {"a": 1}), "me"))
    assert out.keys() == {"type", "uid", "event_created_at", "source_uid", "a"}


@pytest.mark.parametrize("script", [None, 5, ["x"]])
def test_an_utterance_needs_text(script: object) -> None:
    event = Event("StartUtteranceBotAction", {"action_uid": "a1", "script": script})
    with pytest.raises(umim.InvalidEventError, match="script"):
        umim.stamped(event, "me")


@pytest.mark.parametrize("event", [{}, {"type": ""}, {"type": 5}, {"no": "type"}])
def test_an_event_without_a_type_is_refused(event: dict[str, object]) -> None:
    with pytest.raises(umim.InvalidEventError, match="type"):
        umim.received(event)


def test_an_incoming_event_keeps_its_arguments_untouched() -> None:
    event = umim.received({"type": "Door", "id": 3, "uid": "u"})
    assert (event.name, dict(event.arguments)) == ("Door", {"id": 3, "uid": "u"})


@pytest.mark.parametrize(
    ("name", "action"),
    [("StartFooAction", "FooAction"), ("StartAction", None), ("FooActionStarted", None), ("Start", None)],
)
def test_only_a_start_event_orders_an_action(name: str, action: str | None) -> None:
    assert umim.started_action(name) == action
