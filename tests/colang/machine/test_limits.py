"""A program cannot eat the machine: endless loops, endless recursion and huge values end in an error that says so."""

from __future__ import annotations

import pytest

from colang import (
    ColangBudgetError,
    ColangStateError,
    Event,
    Send,
    Source,
    begin,
    from_json,
    load,
    new_state,
    step,
    to_json,
)

ENDLESS = {
    "a loop without a wait": "flow main\n  while True\n    $x = 1\n",
    "a flow that starts itself": "flow main\n  again\nflow again\n  again\n",
    "two flows that call each other": "flow main\n  ping\nflow ping\n  pong\nflow pong\n  ping\n",
    "events that answer each other": (
        "flow main\n  activate a\n  match Never()\n"
        'flow a\n  match UnhandledEvent() as $e\n  send FinishFlow(flow_id="nobody")\n'
    ),
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_runaway_program_is_stopped_and_named(text: str) -> None:
    program = load([Source("main.co", text)])
    state = new_state(program)
    with pytest.raises(ColangBudgetError, match=r"flow `.+` was stopped"):
        begin(program, state)


WATCHED = """
flow main
  activate watch
  start greedy
  match Never()
@loop("w")
flow watch
  match ColangError() as $e
  send Seen(kind=$e.type)
"""
"""Beside it goes a flow `greedy`, whose errors are told."""

HUGE = [
    '"a" * 10**9',
    '"a" * 1000 * 1000 * 1000',
    "[0] * 10**8",
    "10**10**10",
    "2 ** 2 ** 2 ** 2 ** 2 ** 2",
    "1 << 10**9",
    '"a".ljust(10**9)',
    '"a".zfill(10**9)',
    '"%1000000000d" % 1',
    '"%(n)1000000000d" % {"n": 1}',
    '"%(n(n))1000000000d" % {"n(n)": 1}',
    '("%(n)s" * 1000) % {"n": "a" * 100000}',
    '("a" * 100000).replace("a", "b" * 100000)',
    'list("a" * 999999)',
    'int("9" * 4000)',
]


@pytest.mark.parametrize("expression", HUGE)
def test_a_huge_value_is_an_error_of_the_flow(expression: str) -> None:
    text = WATCHED + f"flow greedy\n  match Go()\n  $x = {expression}\n  send Alive()\n"
    assert sent(text, "Go") == [("Seen", {"kind": "ColangValueError"})]


def test_a_list_that_grows_for_ever_hits_its_bound() -> None:
    text = WATCHED + "flow greedy\n  $l = [1]\n  match Go()\n  while True\n    ($l.extend($l))\n"
    assert sent(text, "Go") == [("Seen", {"kind": "ColangValueError"})]


def test_indentation_cannot_make_more_of_a_value_than_a_text_may_hold() -> None:
    text = WATCHED + (
        "flow greedy\n  $l = [0] * 50000\n  $n = 0\n  match Go()\n"
        "  while $n < 100\n    $l = [$l]\n    $n = $n + 1\n  $x = pretty_str($l)\n  send Alive()\n"
    )
    assert sent(text, "Go") == [("Seen", {"kind": "ColangValueError"})]


WALKING = [
    "send Big(l=$l)",
    'send StartFlow(flow_id="other", l=$l)',
    "send $self.Finish(l=$l)",
    "start LampAction(l=$l)",
    "other $l",
    "return $l",
    '$x = "%s" % $l',
    "$x = str($l)",
    "$x = pretty_str($l)",
    "$x = $l == $m",
    "$x = $l < $m",
    "$x = $m in [$l]",
    "$x = [$l].index($m)",
    "$x = [$l].count($m)",
    "$x = [$l, $m]\n  ($x.sort())",
]
"""What goes through a value as the tree that it describes."""


@pytest.mark.parametrize("use", WALKING)
def test_nested_lists_cannot_describe_more_than_they_hold(use: str) -> None:
    text = WATCHED + (
        "flow greedy\n  $l = [1]\n  $n = 0\n  match Go()\n"
        "  $m = [1]\n  while $n < 40\n    $l = [$l, $l]\n    $m = [$m, $m]\n    $n = $n + 1\n  USE\n"
        "flow other $l\n  match Never()\n"
    )
    assert sent(text.replace("USE", use), "Go") == [("Seen", {"kind": "ColangValueError"})]


def sent(text: str, *names: str) -> list[tuple[str, dict[str, object]]]:
    program = load([Source("main.co", text)])
    state = new_state(program)
    commands = begin(program, state)
    for name in names:
        commands += step(program, state, Event(name))
    return [
        (command.event.name, dict(command.event.arguments))
        for command in commands
        if isinstance(command, Send)
    ]


def test_what_is_no_state_is_refused() -> None:
    program = load([Source("main.co", "flow main\n  match Go()\n")])
    other = load([Source("main.co", "flow main\n  match Come()\n")])
    saved = to_json(program, new_state(program))
    for text in ("", "{}", "[]", saved[:-20], saved.replace("main", "mine")):
        with pytest.raises(ColangStateError):
            from_json(program, text)
    with pytest.raises(ColangStateError, match="another program"):
        from_json(other, saved)
