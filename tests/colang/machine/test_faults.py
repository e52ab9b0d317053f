"""What the author is told of a flow that failed: the file, the line, the flow, and what was wrong."""

from __future__ import annotations

import pytest

from colang import Event, Fault, Source, begin, load, new_state, step

FAULTY = {
    "an attribute that is not there": (
        'flow main\n  match Go()\n  $text = "a"\n  $x = $text.length\n',
        ("main", 4, "Attribute 'length' does not exist"),
    ),
    "a value that cannot be sent": (
        "flow main\n  match Go()\n  $text = 5\n  start UtteranceBotAction(script=$text)\n",
        ("main", 4, "StartUtteranceBotAction needs a text `script`, not 5"),
    ),
    "a reference that leads nowhere": (
        "flow main\n  match Go()\n  $flow = 3\n  match $flow.Finished()\n",
        ("main", 4, "flow"),
    ),
    "a default of another flow": (
        "flow main\n  match Go()\n  helper\nflow helper $x=1/0\n  match Never()\n",
        ("helper", 4, "division by zero"),
    ),
    "a history tag": (
        'flow main\n  match Go()\n  helper\n@meta(user_intent="{1/0}")\nflow helper\n  pass\n',
        ("helper", 5, "division by zero"),
    ),
    "an argument in another flow": (
        "flow main\n  match Go()\n  helper\nflow helper\n  send Told(word=$x + 1)\n  match Never()\n",
        ("helper", 5, "+"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_names_its_flow_and_line(text: str, expected: tuple[str, int, str]) -> None:
    program = load([Source("main.co", text)])
    state = new_state(program)
    begin(program, state)
    faults = [command for command in step(program, state, Event("Go")) if isinstance(command, Fault)]
    flow, line, words = expected
    assert [(fault.flow_id, fault.span.source, fault.span.line) for fault in faults] == [
        (flow, "main.co", line)
    ]
    assert words in faults[0].text
    assert str(faults[0]).startswith(f"main.co:{line}:")
