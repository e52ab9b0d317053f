"""Flows that a conversation adds to, and removes from, its program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from colang import tree
from colang.errors import ColangLoadError, ColangSyntaxError
from colang.lowering import lower_flow
from colang.machine.lifecycle import drop_heads
from colang.machine.run import Run
from colang.machine.state import RUNNING, Overlay, State
from colang.program import FlowInfo, Program, flow_info, unhandled_names
from colang.source import Source
from colang.v2 import parse

_ADDED = "<added flows>"


def add_flows(program: Program, state: State, text: str) -> list[str]:
    """Add the flows of a source text to this conversation; names that exist already are skipped.

    Raises:
        ColangSyntaxError: the text cannot be read, or says what is not allowed; nothing was added.
    """
    source = Source(_ADDED, text)
    present = flows(program, state)
    new = [flow for flow in parse(source).flows if flow.name not in present]
    try:
        _install(state, new, text)
    except ColangLoadError as error:
        span = error.span or new[0].span
        raise ColangSyntaxError(error.message, source, span) from None
    return [flow.name for flow in new]


def _install(state: State, new: Iterable[tree.Flow], text: str) -> None:
    """Put trees, lowered, into the state's overlay."""
    trees = {flow.name: flow for flow in new}
    code = state.overlay.code | {name: lower_flow(flow) for name, flow in trees.items()}
    state.overlay = Overlay(
        code=code,
        trees=state.overlay.trees | trees,
        removed=state.overlay.removed,
        texts=state.overlay.texts | dict.fromkeys(trees, text),
        unhandled=unhandled_names(code.values()),
    )


def install_texts(state: State, texts: Mapping[str, str]) -> None:
    """Add the flows that a saved state names, out of the texts they came in."""
    for text in dict.fromkeys(texts.values()):
        wanted = [flow for flow in parse(Source(_ADDED, text)).flows if texts.get(flow.name) == text]
        _install(state, wanted, text)


def remove_flows(program: Program, state: State, names: Iterable[str]) -> None:
    """Remove flows and their instances from this conversation, without events."""
    gone = set(names)
    run = Run(program, state)
    for instance in state.in_order():
        if instance.flow.flow_id in gone and instance.uid != state.main:
            _erase(run, instance.uid)
    overlay = state.overlay
    state.overlay = Overlay(
        code={name: code for name, code in overlay.code.items() if name not in gone},
        trees={name: flow for name, flow in overlay.trees.items() if name not in gone},
        removed=overlay.removed | frozenset(gone & program.code.keys()),
        texts={name: text for name, text in overlay.texts.items() if name not in gone},
        unhandled=overlay.unhandled,
    )


def _erase(run: Run, uid: str) -> None:
    state = run.state
    instance = state.own(uid)
    drop_heads(run, instance)
    if instance.status in RUNNING:
        state.loops[instance.loop_id] -= 1
        if not state.loops[instance.loop_id]:
            del state.loops[instance.loop_id]
    state.delist(instance)
    for parent in instance.parents:
        if parent in state.instances:
            owner = state.own(parent)
            owner.children = tuple(child for child in owner.children if child != uid)
    del state.instances[uid]


def flows(program: Program, state: State) -> Mapping[str, FlowInfo]:
    """All flows of this conversation: the program's and the added ones."""
    overlay = state.overlay
    if not overlay.trees and not overlay.removed:
        return program.flows
    kept = {name: info for name, info in program.flows.items() if name not in overlay.removed}
    return kept | {name: flow_info(flow) for name, flow in overlay.trees.items()}
