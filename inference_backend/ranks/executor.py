"""The executor that the engine sees when a model has several ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from inference_backend.errors import EngineError, ExecutorError
from inference_backend.executor import Capacity, Executor
from inference_backend.ranks.link import Link
from inference_backend.ranks.wire import (
    Message,
    masks_message,
    plan_message,
    read_masks,
    read_plan,
    read_result,
    result_message,
)
from inference_backend.step import StepPlan, StepResult, TokenMasks


class RankedExecutor:
    """Rank 0: passes every call on to the other ranks and makes it itself. An `Executor`."""

    def __init__(self, own: Executor, link: Link) -> None:
        self._own = own
        self._link = link
        self._closed = False

    @property
    def plans_ahead(self) -> bool:
        """See `Executor.plans_ahead`."""
        # A first stage has no tokens of its own to go on with: it waits for the last stage's.
        return self._own.plans_ahead and self._link.place.last_stage

    def load(self) -> Capacity:
        """See `Executor.load`."""
        return _load(self._own, self._link)

    def launch(self, plan: StepPlan) -> None:
        """See `Executor.launch`."""
        self._link.tell_all(plan_message(plan))
        with _in_step():
            self._own.launch(plan)

    def sample(self, masks: TokenMasks | None) -> None:
        """See `Executor.sample`."""
        self._link.tell_all(masks_message(masks))
        if self._link.place.last_stage:
            with _in_step():
                self._own.sample(masks)

    def collect(self) -> StepResult:
        """See `Executor.collect`."""
        if self._link.place.last_stage:
            return self._own.collect()
        return read_result(self._link.await_report())

    def load_adapter(self, slot: int, folder: str) -> None:
        """See `Executor.load_adapter`."""
        self._link.tell_all(Message("adapter", {"slot": slot, "folder": folder}, {}))
        self._own.load_adapter(slot, folder)

    def load_prefix(self, start: int, folder: str) -> int:
        """See `Executor.load_prefix`."""
        self._link.tell_all(Message("prefix", {"start": start, "folder": folder}, {}))
        return self._own.load_prefix(start, folder)

    def close(self) -> None:
        """See `Executor.close`."""
        if not self._closed:
            self._closed = True
            with suppress(ExecutorError):  # a rank that is gone has nothing left to close
                self._link.tell_all(Message("close", {}, {}))
            self._own.close()
            self._link.close()


@contextmanager
def _in_step() -> Iterator[None]:
    """A step that failed on one rank has left the others waiting in the middle of it: that lasts."""
    try:
        yield
    except ExecutorError as error:
        raise ExecutorError(str(error)) from error


def serve_rank(own: Executor, link: Link) -> None:
    """Any other rank: do what rank 0 tells until it says close."""
    _load(own, link)
    under_way = 0
    while (message := link.hear()).kind != "close":
        if message.kind == "launch":
            own.launch(read_plan(message))
        elif message.kind == "sample" and link.place.last_stage:
            own.sample(read_masks(message))
            under_way = _results(own, link, under_way + 1)
        elif message.kind in {"adapter", "prefix"}:
            _adapt(message, own)
    own.close()


def _results(own: Executor, link: Link, under_way: int) -> int:
    """Take in results of steps under way; how many then still are.

    Where rank 0 samples too nobody waits for this rank's results, so one step may stay under way as it does there.
    """
    allowed = int(own.plans_ahead and not link.place.stage)
    while under_way > allowed:
        result = own.collect()
        under_way -= 1
        if link.place.stage and link.place.rank == link.place.answering:
            link.report(result_message(result))
    return under_way


def _adapt(message: Message, own: Executor) -> None:
    """Rank 0 meets the same error in the same folder and tells its caller; this rank just stays as it was."""
    data = message.data
    try:
        if message.kind == "adapter":
            own.load_adapter(data["slot"], data["folder"])
        else:
            own.load_prefix(data["start"], data["folder"])
    except EngineError:
        return


def _load(own: Executor, link: Link) -> Capacity:
    """Every rank has the cache of the one with the least room."""
    capacity = own.load()
    return replace(capacity, blocks=link.least(capacity.blocks))
