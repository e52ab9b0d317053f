"""Colang 1.0: its language, its instructions, its program and its machine.

`grammar.lark` knows the kinds of lines and how they nest; names are free text, so `lines` takes apart what stands
behind the first words, `builder` makes `tree` nodes of it, with `meta` and the names of flows that have none
(`anonymous`), and `coyml` reads the same trees from YAML. `lowering` turns flows into `elements`, `definitions` gathers
what several files define.

The two dialects share expressions, errors and the seam (an event in, commands out) but not the stepper. A flow of
Colang 2.x acts when it is matched, and conflicts are settled among those that act; a flow of Colang 1.0 only offers
what it would do next, one offer is taken, and what was not taken is interrupted or forgotten. So `elements` are the
instructions of 1.0, `program` indexes flows by the event that they begin with, and `machine` makes one decision an
event: `deciding` works it out, and `moves` remembers it for every event of the same one of the program's `kinds`. An
event that a flow creates is known before it is made (`creation`), so that whoever does not want to see each step lets
the machine go on by itself from one creation to the next.
"""

from colang.expressions import to_text
from colang.v1.arguments import resolved
from colang.v1.checking import check
from colang.v1.coyml import flows_of_yaml
from colang.v1.creation import CREATED, Creating, Creation
from colang.v1.definitions import Definitions, definitions_of, flow_of_body
from colang.v1.elements import CallFlow, FlowCode, RunAction, SetVariable, WaitEvent, WaitUser
from colang.v1.machine import call_flow, create_all, end_flow, hear, start_flow, step
from colang.v1.moves import Standing
from colang.v1.parser import parse, parse_all
from colang.v1.program import Program, make_program
from colang.v1.snapshot import check_state, restore, snapshot_of
from colang.v1.state import Instance, State, Status
from colang.v1.straight import go_through

__all__ = [
    "CREATED",
    "CallFlow",
    "Creating",
    "Creation",
    "Definitions",
    "FlowCode",
    "Instance",
    "Program",
    "RunAction",
    "SetVariable",
    "Standing",
    "State",
    "Status",
    "WaitEvent",
    "WaitUser",
    "call_flow",
    "check",
    "check_state",
    "create_all",
    "definitions_of",
    "end_flow",
    "flow_of_body",
    "flows_of_yaml",
    "go_through",
    "hear",
    "make_program",
    "parse",
    "parse_all",
    "resolved",
    "restore",
    "snapshot_of",
    "start_flow",
    "step",
    "to_text",
]
