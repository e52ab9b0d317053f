"""The debugger's answers about flows."""

from __future__ import annotations

import pytest

import colang
from app.cli.chat.flow_snapshot import snapshot_of
from app.cli.chat.inspect import FlowRow, FlowSnapshot, InstanceRow, answer

MAIN = "(main)11111aaaa"
SAID = "(user said)22222bbbb"
SNAPSHOT = FlowSnapshot(
    flows=(
        FlowRow("main", "main", 0.5, (), "main.co:1:1"),
        FlowRow("user said", "parent", 1.0, ("text",), "core.co:3:1"),
        FlowRow("bot say", "parent", 1.0, ("text",), "core.co:9:1"),
    ),
    instances=(
        InstanceRow(MAIN, "main", None, "started", waits=("main.co:3:3",), variables={"count": 2}),
        InstanceRow("(polling)33333cccc", "polling", MAIN, "started", activated=True),
        InstanceRow(SAID, "user said", MAIN, "started", arguments={"text": "hi"}),
        InstanceRow("(_user_said)44444dddd", "_user_said", SAID, "waiting", arguments={"text": "hi"}),
        InstanceRow("(bot say)55555eeee", "bot say", MAIN, "finished", arguments={"text": "Hello"}),
    ),
)


def test_the_tree_shows_who_started_whom_and_marks_what_is_awaited() -> None:
    assert answer("tree", SNAPSHOT).splitlines() == [
        "main (11111, started)",
        "├── polling (33333, started)",
        "└── > user said `hi` (22222, started)",
        "    └── > _user_said `hi` (44444, waiting)",
    ]


def test_the_whole_tree_shows_finished_flows_too() -> None:
    assert answer("tree --all", SNAPSHOT).splitlines()[-1] == "└── > bot say `Hello` (55555, finished)"


def test_flows_lists_the_active_ones_by_priority() -> None:
    assert answer("flows", SNAPSHOT).splitlines() == [
        "Flow       Loop    Priority  Instances  Source",
        "---------  ------  --------  ---------  -----------",
        "user said  parent  1         22222      core.co:3:1",
        "main       main    0.5       11111      main.co:1:1",
    ]


def test_flows_lists_all_of_them_by_name() -> None:
    names = [line.split("  ")[0] for line in answer("flows --all --order-by-name", SNAPSHOT).splitlines()[2:]]
    assert names == ["bot say", "main", "user said"]


def test_a_flow_is_shown_with_its_instances() -> None:
    assert answer("flow user said", SNAPSHOT).splitlines() == [
        "flow user said $text",
        "  defined at  core.co:3:1",
        "  loop        parent, priority 1",
        "  instance    22222  started",
    ]


@pytest.mark.parametrize("uid", [MAIN, "11111"])
def test_an_instance_is_shown_by_its_uid(uid: str) -> None:
    assert answer(f"flow {uid}", SNAPSHOT).splitlines() == [
        f"main ({MAIN})",
        "  status      started, waits at main.co:3:3",
        "  parent      none",
        "  variables   $count = 2",
    ]


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("flow nope", "Flow 'nope' does not exist."),
        ("flow", "Which one? !flow NAME or !flow UID"),
        ("tree --bogus", "!tree has no option --bogus; see !help."),
    ],
)
def test_what_does_not_exist_is_said(question: str, reply: str) -> None:
    assert answer(question, SNAPSHOT) == reply


@pytest.mark.parametrize("question", ["flows", "tree"])
def test_before_the_first_turn_no_flow_is_active(question: str) -> None:
    assert answer(question, FlowSnapshot()) == "No flow is active."


def test_the_snapshot_of_a_running_program_names_flows_places_and_loops() -> None:
    text = """\
@loop("clock", 5)
flow ticking
  match Tick()

flow main
  start ticking
  match Stop()
"""
    program = colang.load([colang.Source("some/deep/folder/main.co", text)])
    state = colang.new_state(program, 1)
    go_on(program, state, colang.begin(program, state))
    shown = snapshot_of(program, state)
    assert answer("tree", shown).splitlines()[1].startswith("└── > ticking (")
    assert answer("flow ticking", shown).splitlines()[:3] == [
        "flow ticking",
        "  defined at  folder/main.co:2:1",
        "  loop        clock, priority 5",
    ]
    assert "waits at folder/main.co:3:" in answer("flow ticking", shown)
    assert answer("tree", snapshot_of(program, None)) == "No flow is active."


def test_a_restarted_flow_stays_with_whoever_activated_it() -> None:
    text = "flow greeting\n  match Hello()\n\nflow main\n  activate greeting\n  match Stop()\n"
    program = colang.load([colang.Source("main.co", text)])
    state = colang.new_state(program, 1)
    go_on(program, state, colang.begin(program, state))
    for _ in range(3):
        go_on(program, state, colang.step(program, state, colang.Event("Hello")))
    main, greeting = answer("tree", snapshot_of(program, state)).splitlines()
    assert main.startswith("main (")
    assert greeting.startswith("└── greeting (")


def go_on(program: colang.Program, state: colang.State, commands: list[colang.Command]) -> None:
    """Feed what was sent back, until nothing more is."""
    for command in commands:
        if isinstance(command, colang.Send):
            go_on(program, state, colang.step(program, state, command.event))
