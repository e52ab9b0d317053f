"""The beginning of a story, and of each call into the runtime."""

from __future__ import annotations

from colang.events import Command
from colang.machine.effects import START_MAIN
from colang.machine.lifecycle import bind, register
from colang.machine.run import Run
from colang.machine.signal import Signal
from colang.machine.state import Instance, State, Status
from colang.machine.stepper import run_signal
from colang.program import MAIN, Program


def new_state(program: Program, seed: int = 0) -> State:
    """A conversation that has not begun; uids, `rand()` and random choices follow from `seed`.

    Raises:
        ColangLoadError: the program has no flow `main`, or a statement that is not allowed as it is written.
    """
    if program.errors:
        raise program.errors[0]
    state = State(seed)
    code = program.code[MAIN]
    uid = f"({MAIN}){state.random.uid()}"
    loop = code.loop_id if code.loop_id not in {None, "NEW"} else f"({MAIN}){state.random.uid()}"
    main = Instance(uid, code, str(loop))
    main.owner = state.token
    run = Run(program, state)
    register(run, main)
    bind(run, main, {})
    state.main = uid
    return state


def begin(program: Program, state: State) -> list[Command]:
    """Start `main` and the `@active` flows if `main` is waiting (a new story, or one that ran to its end).

    Call it at the start of each call into the runtime, before that call's input; it
    returns no command when there is nothing to start.
    """
    main = state.instances[state.main]
    if main.status is not Status.WAITING:
        return []
    commands: list[Command] = []
    for name, code in program.code.items():
        if code.active and name not in state.overlay.removed:
            arguments = {"flow_id": name, "source_flow_instance_uid": state.main, "activated": True}
            commands += run_signal(program, state, Signal("StartFlow", arguments, flow_uid=state.main))
    return commands + run_signal(program, state, Signal(START_MAIN, {}, flow_uid=state.main))
