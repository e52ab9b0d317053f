"""Colang: text to program to steps, with no I/O.

A program is loaded once (`load`) from sources; a conversation is a `State`. Each event is given to `step`, which
advances the flows that were waiting for it and returns the commands that the caller has to carry out. The package
depends on lark alone and knows nothing of models, clocks or sockets, so a conversation can be replayed from its
transcript. A turn looks like this:

    state = saved.fork()                       # a transaction: keep the fork or drop it
    commands = begin(program, state)           # starts main where it is due
    for event in inputs:
        commands += step(program, state, event)
    # carry out the commands, give every sent event back to `step` once, and so on until none is left

Text becomes a program in passes. `dialect` tells which Colang a `source` is in; `grammars` and `layout` (lines and
indentation) are for both. `v2` makes a `tree` of a file, `loader` reads the files that `imports` name, `resolve` finds
what names stand for, and `checking` gathers `problems` of them all. `lowering` turns each flow into `instructions`, whose
`expressions` are compiled to closures over `values`; the result is a `program`. `machine` steps it: `events` go in,
commands come out, within `limits`, and values are copied before one changes (`copying`). Colang 1.0 has its own reader,
instructions and machine in `v1`, over the same expressions. `format` writes a tree as text again, and
`generated_flows` says what flows that a model wrote may do.
"""

from colang.checking import check
from colang.dialect import Dialect, dialect_of
from colang.errors import (
    ColangBudgetError,
    ColangError,
    ColangFlowError,
    ColangImportError,
    ColangLoadError,
    ColangMainError,
    ColangNoFlowError,
    ColangParsingError,
    ColangRuntimeError,
    ColangStateError,
    ColangSyntaxError,
    ColangValueError,
)
from colang.events import INTERNAL_EVENTS, Command, Event, Fault, History, LogLine, PrintLine, Send
from colang.generated_flows import texts_beside, trespass
from colang.imports import ImportPath
from colang.machine import (
    FlowView,
    State,
    add_flows,
    awaited_flows,
    begin,
    callers_of,
    check_state,
    event_awaited,
    flow_known,
    flows,
    from_json,
    function_names,
    globals_of,
    instances,
    locals_of,
    new_state,
    owners_of,
    remove_flows,
    set_globals,
    step,
    takes_result,
    to_json,
)
from colang.problems import Problem, Severity
from colang.program import FlowInfo, Program, load
from colang.source import Source, Span, pointed
from colang.values import EventRef

__all__ = [
    "INTERNAL_EVENTS",
    "ColangBudgetError",
    "ColangError",
    "ColangFlowError",
    "ColangImportError",
    "ColangLoadError",
    "ColangMainError",
    "ColangNoFlowError",
    "ColangParsingError",
    "ColangRuntimeError",
    "ColangStateError",
    "ColangSyntaxError",
    "ColangValueError",
    "Command",
    "Dialect",
    "Event",
    "EventRef",
    "Fault",
    "FlowInfo",
    "FlowView",
    "History",
    "ImportPath",
    "LogLine",
    "PrintLine",
    "Problem",
    "Program",
    "Send",
    "Severity",
    "Source",
    "Span",
    "State",
    "add_flows",
    "awaited_flows",
    "begin",
    "callers_of",
    "check",
    "check_state",
    "dialect_of",
    "event_awaited",
    "flow_known",
    "flows",
    "from_json",
    "function_names",
    "globals_of",
    "instances",
    "load",
    "locals_of",
    "new_state",
    "owners_of",
    "pointed",
    "remove_flows",
    "set_globals",
    "step",
    "takes_result",
    "texts_beside",
    "to_json",
    "trespass",
]
