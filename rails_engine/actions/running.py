"""Running one action: its arguments, its thread, its time limit, and its result as plain data."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from functools import partial
from typing import Any

from rails_engine.actions.deadline import DeadlinePassedError, rest_within
from rails_engine.actions.decorator import ActionResult
from rails_engine.actions.outcome import RailOutcome
from rails_engine.actions.plain import plain_outcome, to_plain, unwrapped
from rails_engine.actions.registry import Action
from rails_engine.errors import ActionError, ActionTimeoutError
from rails_engine.values import value_class

MAX_THREADS = 32
_TEXTS = frozenset({str})
_POSITION = re.compile(r"^\$(\d+)$")


@value_class
class ActionOutput:
    """What came of an action, as plain data. `verdict` is set where it answered with one."""

    value: Any = None
    events: tuple[dict[str, Any], ...] = ()
    context_updates: Mapping[str, Any] = field(default_factory=dict)
    verdict: RailOutcome | None = None


class ActionRunner:
    """Runs actions: coroutines on the event loop, plain functions in threads of its own."""

    def __init__(self, threads: int = MAX_THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="action")

    async def run(
        self,
        action: Action,
        given: Mapping[str, Any],
        injected: Mapping[str, Any],
        timeout_s: float | None = None,
    ) -> ActionOutput:
        """Run `action` with the arguments of the flow; parameters it names beside them come from `injected`.

        Raises:
            ActionError: an argument has no parameter.
            ActionTimeoutError: it took longer than `timeout_s`; a plain function then goes on unheard.
            Exception: whatever the action raises.
        """
        arguments = arguments_of(action, given, injected)
        try:
            work = action.call(**arguments) if action.is_async else self._of_thread(action, arguments)
            if timeout_s is None:
                return output_of(await work)
            try:
                awaited = work.send(None)
            except StopIteration as end:  # most rails never wait: the clock starts where one first does
                return output_of(end.value)
            return output_of(await rest_within(timeout_s, work, awaited))
        except DeadlinePassedError as error:
            raise ActionTimeoutError(f"Action '{action.name}' did not end within {timeout_s:g} s.") from error
        except BaseException as error:  # the rim: native code and `sys.exit()` raise what is no Exception
            # What would end more than the action itself is its failure.
            if isinstance(error, Exception | KeyboardInterrupt | GeneratorExit) or _leaves(error):
                raise
            raise ActionError(f"Action '{action.name}' gave up with {error!r}.") from error

    async def _of_thread(self, action: Action, arguments: Mapping[str, Any]) -> Any:
        context = contextvars.copy_context()
        work = partial(context.run, action.call, **arguments)
        result = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        return await result if inspect.isawaitable(result) else result

    def close(self) -> None:
        """Let go of the threads; what still runs in them is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def arguments_of(action: Action, given: Mapping[str, Any], injected: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a call. `$0`, `$1` … in `given` are positions, which Colang 1.0 counts from 1.

    Raises:
        ActionError: an argument has no parameter.
    """
    if given.keys() <= action.named and injected.keys() <= action.named:
        is_text = _TEXTS.issuperset(map(type, given.values()))
        return {**injected, **(given if is_text else unwrapped(dict(given)))}
    parameters, arguments = action.parameters, {}
    first = 0 if "$0" in given else 1
    for name, value in given.items():
        meant = name if name in parameters else _named(action, name, first)
        arguments[meant] = value if type(value) is str else unwrapped(value)
    for name in parameters:
        if name not in arguments and name in injected:
            arguments[name] = injected[name]
    own_model = injected.get(f"{action.name}_llm") if "llm" in parameters else None
    if own_model is not None and "llm" not in given:
        arguments["llm"] = own_model
    return arguments


def _named(action: Action, name: str, first: int) -> str:
    """The parameter that a name means which is none of theirs; positions are counted from `first`."""
    position = _POSITION.match(name)
    if position and 0 <= int(position[1]) - first < len(action.parameters):
        return action.parameters[int(position[1]) - first]
    if action.takes_any:
        return name
    known = ", ".join(action.parameters) or "none"
    raise ActionError(f"Action '{action.name}' has no parameter '{name}' (it has: {known}).")


def output_of(result: Any) -> ActionOutput:
    """The result of an action as plain data."""
    if isinstance(result, RailOutcome):
        return ActionOutput(plain_outcome(result), (), {}, result)
    if not isinstance(result, ActionResult):
        return ActionOutput(to_plain(result))
    inner = output_of(result.return_value)
    events = tuple(dict(event) for event in result.events or ())
    updates = {name: to_plain(value) for name, value in (result.context_updates or {}).items()}
    return ActionOutput(inner.value, events, updates, inner.verdict)


def _leaves(error: BaseException) -> bool:
    """Whether this task is being cancelled, rather than something that it waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
