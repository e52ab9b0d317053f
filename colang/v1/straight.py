"""A flow gone through by itself, for as long as all it does is to assign, to ask and to run actions."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from colang.v1.creation import CREATE
from colang.v1.deciding import SLIDE_BOUND, arguments_in
from colang.v1.elements import Jump, JumpUnless, RunAction, SetVariable
from colang.v1.program import Program
from colang.v1.scope import Variables


def go_through(
    program: Program, variables: dict[str, Any], reference: str
) -> Generator[RunAction | bool, Any, None]:
    """Assign and decide as the flow says that `name $x=y` or `name(x=y)` names.

    It yields each action to be run, and is sent its result. The last that it yields is True at the flow's end, and False
    where the flow does something else: it speaks, waits, calls or creates; or where there is no such flow.

    Raises:
        ColangRuntimeError: an expression failed.
    """
    code = program.flows.get(reference)
    if code is None:
        name, arguments = arguments_in(program, reference)
        code = program.flows.get(name)
        if code is None:
            yield False
            return
        variables.update(arguments)
    scope, head = Variables(variables, program.config), 0
    elements, end = code.elements, len(code.elements)
    for _ in range(SLIDE_BOUND):
        if head >= end:
            yield True
            return
        element = elements[head]
        head += 1
        if isinstance(element, RunAction) and element.name != CREATE:
            result = yield element
            if element.result:
                variables[element.result] = result
        elif isinstance(element, JumpUnless):
            head = head if element.condition(scope) else element.target
        elif isinstance(element, SetVariable):
            variables[element.name] = element.value(scope)
        elif isinstance(element, Jump):
            head = element.target
        else:
            break
    yield False
