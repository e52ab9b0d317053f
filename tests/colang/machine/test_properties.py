"""Whatever happens: the stepper neither crashes nor breaks its invariants, and a saved state continues identically."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colang import (
    ColangStateError,
    Event,
    Program,
    Source,
    State,
    begin,
    check_state,
    from_json,
    instances,
    load,
    new_state,
    step,
    to_json,
)
from tests.colang.machine.transcripts import Transcript, loaded, transcripts

PROGRAMS = [each for each in transcripts(Path(__file__).parent / "programs") if not each.remarks.fails]
NAMES = (
    "Go",
    "A",
    "B",
    "C",
    "Halt",
    "Tick",
    "Unknown",
    "UtteranceUserActionStarted",
    "UtteranceUserActionFinished",
)
ACTIONS = ("LampAction", "UtteranceBotAction", "TimerBotAction")
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

values = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(0, 4), st.sampled_from(["a", "hi", ""])
)
plain = st.builds(
    Event,
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(["k", "v", "final_transcript", "n"]), values, max_size=3),
)
of_actions = st.builds(
    lambda action, stage, uid: Event(f"{action}{stage}", {"action_uid": uid, "is_success": True}),
    st.sampled_from(ACTIONS),
    st.sampled_from(["Started", "Finished", "Updated"]),
    st.sampled_from(["u1", "u2"]),
)
conversations = st.lists(st.one_of(plain, of_actions), min_size=1, max_size=12)


def told(program: Program, state: State, event: Event) -> list[object]:
    return [*begin(program, state), *step(program, state, event)]


@FEW
@given(transcript=st.sampled_from(PROGRAMS), events=conversations, seed=st.integers(0, 3))
def test_random_events_keep_every_invariant(transcript: Transcript, events: list[Event], seed: int) -> None:
    program = loaded(transcript.source)
    state = new_state(program, seed)
    for event in events:
        told(program, state, event)
        check_state(state)


@FEW
@given(transcript=st.sampled_from(PROGRAMS), events=conversations, at=st.integers(0, 11))
def test_a_state_saved_anywhere_continues_identically(
    transcript: Transcript, events: list[Event], at: int
) -> None:
    program = loaded(transcript.source)
    state = new_state(program, 1)
    for event in events[:at]:
        told(program, state, event)
    twin = from_json(program, to_json(program, state))
    assert to_json(program, twin) == to_json(program, state)
    for event in events[at:]:
        assert told(program, twin, event) == told(program, state, event)
    assert to_json(program, twin) == to_json(program, state)


@FEW
@given(transcript=st.sampled_from(PROGRAMS), events=conversations, at=st.integers(0, 11))
def test_a_fork_and_its_original_do_not_see_each_other(
    transcript: Transcript, events: list[Event], at: int
) -> None:
    program = loaded(transcript.source)
    state = new_state(program, 1)
    for event in events[:at]:
        told(program, state, event)
    before = to_json(program, state)
    fork = state.fork()
    replies = [told(program, fork, event) for event in events[at:]]
    assert to_json(program, state) == before
    after = to_json(program, fork)
    assert [told(program, state, event) for event in events[at:]] == replies
    assert to_json(program, fork) == after
    assert to_json(program, state) == after


@FEW
@given(
    transcript=st.sampled_from(PROGRAMS), events=conversations, place=st.floats(0, 1), cut=st.text(max_size=3)
)
def test_a_damaged_save_is_read_or_refused_but_never_crashes(
    transcript: Transcript, events: list[Event], place: float, cut: str
) -> None:
    program = loaded(transcript.source)
    state = new_state(program, 1)
    for event in events:
        told(program, state, event)
    text = to_json(program, state)
    at = int(place * (len(text) - 1))
    with contextlib.suppress(ColangStateError):
        check_state(from_json(program, text[:at] + cut + text[at + 1 :]))


SHARED_LISTS = Source(
    "shared lists",
    """
flow main
  $a = [1]
  $b = $a
  global $g
  $g = {"list": $a}
  while True
    match Push() as $e
    ($a.append($e.v))
    send Grown(b=len($b), g=len($g.list))
""",
)


@FEW
@given(pushes=st.lists(st.sampled_from(["step", "fork", "save"]), max_size=10))
def test_shared_containers_stay_shared_through_forks_and_saves(pushes: list[str]) -> None:
    program = loaded(SHARED_LISTS)
    state = new_state(program)
    begin(program, state)
    for count, how in enumerate(pushes, 2):
        if how == "fork":
            state, dropped = state.fork(), state
            step(program, dropped, Event("Push", {"v": "elsewhere"}))
        elif how == "save":
            state = from_json(program, to_json(program, state))
        (command,) = step(program, state, Event("Push", {"v": count}))
        assert dict(command.event.arguments) == {"b": count, "g": count}


AGING = Source(
    "aging",
    "flow main\n  activate p\n  match Never()\n"
    "flow p\n  match Go()\n  start q\n  send X()\n"
    "flow q\n  match Go()\n",
)


def test_a_conversation_does_not_grow_with_its_age() -> None:
    program = load([AGING])
    state = new_state(program)
    sizes = []
    for _ in range(400):
        told(program, state, Event("Go"))
        sizes.append(len(instances(program, state)))
    assert max(sizes[200:]) <= max(sizes[:200])
