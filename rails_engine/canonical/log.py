"""Which rail did what in a turn of Colang 1.0, told from its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rails_engine.response import ActivatedRail, ExecutedAction
from rails_engine.trace import ActionRun, Trace, executed
from rails_engine.umim import EventDict

_DIRECTIONS = {
    "StartInputRail": "input",
    "StartOutputRail": "output",
    "StartToolInputRail": "tool_input",
    "StartToolOutputRail": "tool_output",
}
_ENDS = {
    "InputRailFinished": "input",
    "OutputRailFinished": "output",
    "ToolInputRailFinished": "tool_input",
    "ToolOutputRailFinished": "tool_output",
}
_SILENT_FLOWS = frozenset(
    {
        "process user input",
        "run dialog rails",
        "process bot message",
        "process bot tool call",
        "process user tool messages",
        "run input rails",
        "run output rails",
        "run tool input rails",
        "run tool output rails",
        "run retrieval rails",
    }
)
_SILENT_ACTIONS = frozenset(
    {
        "create_event",
        "run_input_rails_in_parallel",
        "run_output_rails_in_parallel",
        "run_tool_output_rails_in_parallel",
        "run_tool_input_rails_in_parallel",
    }
)
_ANSWERS = frozenset({"BotMessage", "BotToolCalls"})
_DIALOG = frozenset({"dialog", "generation"})
_CHECKS = frozenset({"input", "output"})
"""Kinds of rails behind which the turn goes on: one that has not finished has stopped it."""
_GENERATION = "generate bot message"
_INTENT = "generate user intent"


@dataclass(slots=True)
class _Reader:
    """Walks over the record in order."""

    runs: Iterator[ActionRun]
    beside: Mapping[str, Sequence[ActionRun]]
    rails: list[ActivatedRail] = field(default_factory=list)
    open: ActivatedRail | None = None
    whole: bool = False
    """True inside a rail that ran beside others: what it did is known as a whole."""

    def event(self, event: EventDict, flow: str) -> None:
        """Take in the next event, decided by `flow` (empty where no flow decided it)."""
        kind = event["type"]
        if kind in _DIRECTIONS:
            self._done_beside(self._begin(_DIRECTIONS[kind], event["flow_id"]), event.get("uid", ""))
        elif kind in _ENDS:
            self.open, self.whole = None, False
        elif kind == "StartInternalSystemAction":
            self._action(event["action_name"], flow, None if self.whole else next(self.runs, None))
        elif kind == "BotIntent" and (flow or event.get("intent") == "stop"):
            self._decision(event["intent"], flow)
        elif kind.endswith("Exception") and self.open is not None:
            self._decision("stop", flow)
        elif kind in _ANSWERS and self.rails and self.rails[-1].name == _INTENT:
            asked = any(action.llm_calls for action in self.rails[-1].executed_actions)
            self.rails[-1].type = "generation" if asked else "dialog"

    def _begin(self, kind: str, name: str) -> ActivatedRail:
        rail = ActivatedRail(type=kind, name=name)
        self.rails.append(rail)
        if kind not in _DIALOG:
            self.open = rail
        return rail

    def _done_beside(self, rail: ActivatedRail, uid: str) -> None:
        runs = self.beside.get(uid)
        self.whole = runs is not None
        for run in runs or ():
            if run.name not in _SILENT_ACTIONS:
                _add(rail, executed(run))

    def _rail_of(self, flow: str) -> ActivatedRail | None:
        if self.open is not None:
            return self.open
        if flow in _SILENT_FLOWS or not flow:
            return None
        if self.rails and self.rails[-1].name in {flow, _GENERATION}:
            # What a flow decides between two messages is told with the generation that it interrupts.
            return self.rails[-1]
        return self._begin("generation" if flow == _GENERATION else "dialog", flow)

    def _decision(self, decision: str, flow: str) -> None:
        rail = self._rail_of(flow)
        if rail is not None:
            if decision == "stop" and self.whole:
                # Of a rail that ran beside others and stopped, the stop is what counts.
                rail.decisions.clear()
            rail.decisions.append(decision)
            rail.stop = rail.stop or (decision == "stop" and rail.type not in _DIALOG)

    def _action(self, name: str, flow: str, run: ActionRun | None) -> None:
        rail = self._rail_of(flow)
        if rail is not None and name not in _SILENT_ACTIONS:
            rail.decisions.append(f"execute {name}")
            if run is not None:
                _add(rail, executed(run))


def _add(rail: ActivatedRail, action: ExecutedAction) -> None:
    rail.executed_actions.append(action)
    rail.started_at = rail.started_at or action.started_at
    rail.finished_at = action.finished_at
    if rail.started_at and rail.finished_at:
        rail.duration = rail.finished_at - rail.started_at


def activated_rails(trace: Trace) -> list[ActivatedRail]:
    """The rails of a turn in order, each with what it decided and executed."""
    reader = _Reader(iter(trace.actions), trace.beside)
    for event in trace.events:
        reader.event(event, trace.deciders.get(event.get("uid", ""), ""))
    unfinished = reader.open
    if unfinished is not None and unfinished.type in _CHECKS and not unfinished.stop:
        unfinished.decisions.append("stop")
        unfinished.stop = True
    for rail in reader.rails:
        rail.duration = rail.duration or 0.0
    return reader.rails
