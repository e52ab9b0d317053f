"""What a conversation keeps: whatever a variable leads to, and nothing without end."""

from __future__ import annotations

import pytest

from colang import ColangBudgetError, Event, Send, Source, begin, load, new_state, step, to_json
from colang.machine.values_match import fit
from colang.values import Regex

NOISE = "flow noise\n  pass\n"
KEPT = {
    "a variable": ("$kept = $h", "$kept"),
    "a list": ("$kept = [1, [$h]]", "$kept[1][0]"),
    "a dict": ('$kept = {"h": $h}', '$kept["h"]'),
    "the start arguments of an action": (
        "start LampAction(of=$h) as $kept",
        '$kept.start_event_arguments["of"]',
    ),
    "an event of an action": (
        "start LampAction() as $lamp\n  send $lamp.Change(of=$h) as $kept",
        '$kept.arguments["of"]',
    ),
    "a variable of a flow": ("start holder $h as $kept", "$kept.h"),
}


def ticks(text: str, count: int) -> list[dict[str, object]]:
    """The arguments of the events that go out after each of so many `Tick`s."""
    program = load([Source("main.co", text)])
    state = new_state(program)
    begin(program, state)
    commands = [command for _ in range(count) for command in step(program, state, Event("Tick"))]
    return [dict(command.event.arguments) for command in commands if isinstance(command, Send)]


@pytest.mark.parametrize(("keep", "read"), KEPT.values(), ids=KEPT.keys())
def test_an_ended_flow_is_kept_for_as_long_as_something_leads_to_it(keep: str, read: str) -> None:
    # Nothing but `$kept` leads to the helper: who awaits a flow keeps it in a variable that no author sees.
    text = (
        'flow main\n  global $kept\n  send StartFlow(flow_id="setup")\n'
        f"  while True\n    match Tick()\n    noise\n    send Seen(status={read}.status.value)\n"
        f"flow setup\n  global $kept\n  start helper as $h\n  {keep}\n"
        f"flow helper\n  pass\nflow holder $h\n  pass\n{NOISE}"
    )
    assert [seen["status"] for seen in ticks(text, 200) if "status" in seen] == ["finished"] * 200


def test_an_ended_flow_that_nothing_leads_to_is_forgotten() -> None:
    text = (
        'flow main\n  global $uid\n  send StartFlow(flow_id="setup")\n'
        "  while True\n    match Tick()\n    noise\n    send Seen(known=$uid in flows_info())\n"
        f"flow setup\n  global $uid\n  start helper as $h\n  $uid = $h.uid\nflow helper\n  pass\n{NOISE}"
    )
    known = [seen["known"] for seen in ticks(text, 200)]
    assert known[0] is True
    assert known[-1] is False


def test_actions_that_nobody_here_started_do_not_pile_up() -> None:
    program = load([Source("main.co", "flow main\n  match Never()\n")])
    state = new_state(program)
    begin(program, state)
    sizes: list[int] = []
    for number in range(400):
        for stage in ("Started", "Finished"):
            step(program, state, Event(f"UtteranceUserAction{stage}", {"action_uid": f"u{number:03}"}))
        sizes.append(len(to_json(program, state)))
    assert max(sizes[200:]) <= max(sizes[:200])


def test_errors_that_lead_to_errors_end() -> None:
    text = (
        "flow main\n  start watch\n  start faulty\n  match Never()\n"
        '@loop("w")\nflow watch\n  match ColangError(error=less_than(3))\n'
        "flow faulty\n  match Go()\n  $x = 1 / 0\n"
    )
    program = load([Source("main.co", text)])
    state = new_state(program)
    begin(program, state)
    with pytest.raises(ColangBudgetError, match="more than 50 errors"):
        step(program, state, Event("Go"))


@pytest.mark.parametrize("seed", range(6))
def test_of_two_flows_that_compete_the_one_whose_callee_was_asked_for_more_closely_acts(seed: int) -> None:
    text = (
        "flow main\n  start loose\n  start close\n  match Never()\n"
        "flow loose\n  match Go()\n  start helper\n  send Loose()\n"
        "flow close\n  match Go()\n  start helper $a=1 $b=2 $c=3\n  send Close()\n"
        "flow helper $a=1 $b=2 $c=3\n  match Never()\n"
    )
    program = load([Source("main.co", text)])
    state = new_state(program, seed)
    begin(program, state)
    sent = [command.event.name for command in step(program, state, Event("Go")) if isinstance(command, Send)]
    assert sent == ["Close"]


def test_a_handler_of_errors_that_fails_over_the_text_of_each_is_stopped() -> None:
    text = (
        "flow main\n  activate watch\n  start faulty\n  match Never()\n"
        '@loop("w")\nflow watch\n  match ColangError() as $e\n  $x = int($e.error)\n'
        "flow faulty\n  match Go()\n  $x = 1 / 0\n"
    )
    program = load([Source("main.co", text)])
    state = new_state(program)
    begin(program, state)
    with pytest.raises(ColangBudgetError, match="was stopped"):
        step(program, state, Event("Go"))


def test_two_patterns_of_a_set_may_fit_the_same_element() -> None:
    assert fit({Regex("a"), Regex("b")}, {"ab"}) == 0
    assert fit({Regex("a"), Regex("b")}, {"ab", "x", "y"}) == 1
    assert fit({Regex("a"), "c"}, {"ab"}) is None
