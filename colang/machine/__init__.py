"""The machine: a conversation's state, and the step that advances it.

`state` has the tables; `run` is what one step works with, `frame` what its expressions ask; `stepper` is the loop;
`effects` says what internal events do by themselves; `matching` and `index` find the heads that wait for an event;
`slide` moves heads; `heads` forks and joins them; `conflicts` decides who acts; `lifecycle` and `actions` keep the
books; `sharing` gives a state containers of its own; `sweep` forgets; `snapshot` writes and reads states; `check`
says what always holds.
"""

from colang.machine.check import check_state
from colang.machine.overlay import add_flows, flows, remove_flows
from colang.machine.snapshot import from_json, to_json
from colang.machine.state import State
from colang.machine.stepper import step
from colang.machine.story import begin, new_state
from colang.machine.views import (
    FlowView,
    awaited_flows,
    callers_of,
    event_awaited,
    flow_known,
    function_names,
    globals_of,
    instances,
    locals_of,
    owners_of,
    set_globals,
    takes_result,
)

__all__ = [
    "FlowView",
    "State",
    "add_flows",
    "awaited_flows",
    "begin",
    "callers_of",
    "check_state",
    "event_awaited",
    "flow_known",
    "flows",
    "from_json",
    "function_names",
    "globals_of",
    "instances",
    "locals_of",
    "new_state",
    "owners_of",
    "remove_flows",
    "set_globals",
    "step",
    "takes_result",
    "to_json",
]
