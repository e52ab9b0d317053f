"""The engine among coroutines: one worker thread that owns it, one mailbox per request.

The worker takes what callers have left in its inbox, steps the engine, and hands each event loop the step's deltas in
one call. A slow reader costs nobody else anything: deltas that it has not read are merged, so a mailbox holds at most
one per choice. Closing the iterator of `generate` cancels the request down to its KV blocks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from inference_backend.adapters import Prefix
from inference_backend.beams import BeamSearch, BeamText, run_beams
from inference_backend.engine import Engine
from inference_backend.errors import EngineError, ExecutorError
from inference_backend.prepared import PreparedRequest
from inference_backend.values import Delta, Request

T = TypeVar("T")
_QUIET_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class _Mailbox:
    """Deltas on their way to one reader; touched in the reader's event loop alone."""

    loop: asyncio.AbstractEventLoop
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: dict[int, Delta] = field(default_factory=dict)
    error: EngineError | None = None

    def put(self, item: Delta | EngineError) -> None:
        """Leave a delta, joined with one that was not read yet, or the error that ends the answer."""
        if isinstance(item, EngineError):
            self.error = item
        else:
            before = self.waiting.get(item.index)
            self.waiting[item.index] = item if before is None else _merged(before, item)
        self.ready.set()

    async def take(self) -> list[Delta]:
        """What has come since the last call; waits if it is nothing."""
        await self.ready.wait()
        self.ready.clear()
        items, self.waiting = list(self.waiting.values()), {}
        if self.error is not None:
            raise self.error
        return items


def _merged(first: Delta, second: Delta) -> Delta:
    return replace(
        second,
        text=first.text + second.text,
        token_ids=first.token_ids + second.token_ids,
        logprobs=first.logprobs + second.logprobs,
        prompt_logprobs=first.prompt_logprobs + second.prompt_logprobs,
    )


@dataclass(frozen=True, slots=True)
class _Submit:
    prepared: PreparedRequest
    mailbox: _Mailbox


@dataclass(frozen=True, slots=True)
class _Cancel:
    request_id: str


@dataclass(frozen=True, slots=True)
class _Call:
    """Something to run in the worker, between two steps; it settles a future that the caller awaits."""

    work: Callable[[], None]
    abandon: Callable[[], object]


_Message: TypeAlias = "_Submit | _Cancel | _Call"
_Parcel: TypeAlias = "tuple[_Mailbox, Delta | EngineError]"


class AsyncEngine:
    """Starts its worker on construction; `close` ends it. Usable from several event loops."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._inbox: deque[_Message] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._mailboxes: dict[str, _Mailbox] = {}
        self._thread = threading.Thread(target=self._run, name="inference-engine", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the worker runs and the executor can."""
        return self._thread.is_alive() and self.engine.failure is None

    @property
    def readers(self) -> int:
        """Requests whose answers are being waited for."""
        return len(self._mailboxes)

    async def generate(self, request: Request) -> AsyncIterator[Delta]:
        """The request's deltas, choices interleaved, until each has finished.

        Raises:
            EngineError: the subclass says who is at fault; nothing more comes after it.
        """
        if request.sampling.beam_width > 1 and request.pooling is None:
            async for delta in await self._beams(request):
                yield delta
            return
        prepared = await self._prepared(request)
        mailbox = _Mailbox(asyncio.get_running_loop())
        unfinished = 1 if request.pooling else request.sampling.n
        self._post(_Submit(prepared, mailbox))
        try:
            while unfinished:
                for delta in await mailbox.take():
                    unfinished -= delta.finish is not None
                    if delta.error is not None:
                        raise delta.error
                    yield delta
        finally:
            if unfinished:
                self._post(_Cancel(request.id))

    async def _beams(self, request: Request) -> AsyncIterator[Delta]:
        prepared = await self._prepared(request)
        stops = frozenset((*request.sampling.stop_token_ids, *self.engine.capacity.eos_ids))
        room = prepared.limit - len(request.prompt_ids)
        text = BeamText(request.sampling, self.engine.parts.tokenizer, self.engine.parts.compiler)
        search = BeamSearch(request.sampling, stops, room, text.complete)
        return run_beams(self.generate, request, search, text)

    async def load_adapter(self, name: str, folder: str) -> None:
        """Load a LoRA adapter while serving.

        Raises:
            CheckpointError: not an adapter of this model.
            OverloadedError: every slot is in use.
        """
        registry = self.engine.adapter_registry
        await self._call(lambda: registry.load(name, folder))

    async def drop_adapter(self, name: str) -> None:
        """Forget a LoRA adapter.

        Raises:
            UnknownAdapterError: it is not loaded.
            OverloadedError: it is in use.
        """
        registry = self.engine.adapter_registry
        await self._call(lambda: registry.drop(name))

    async def load_prefix(self, name: str, folder: str) -> Prefix:
        """Load a prompt-tuned prefix while serving.

        Raises:
            CheckpointError: not a prefix of this model.
        """
        registry = self.engine.adapter_registry
        return await self._call(lambda: registry.load_prefix(name, folder))

    async def check(self) -> None:
        """See that the bookkeeping of blocks, slots and sequences agrees, between two steps.

        Raises:
            InvariantError: it does not.
        """
        await self._call(self.engine.scheduler.check)

    def close(self) -> None:
        """End the worker; requests under way get an error. Waits for the step that is running."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    async def _prepared(self, request: Request) -> PreparedRequest:
        """Compiling a constraint may take long, so it is done in a thread."""
        if request.sampling.constraint is None:
            return self.engine.prepare(request)
        return await asyncio.to_thread(self.engine.prepare, request)

    async def _call(self, work: Callable[[], T]) -> T:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._post(_Call(lambda: _settle(future, work), future.cancel))
        return await asyncio.wrap_future(future)

    # --- the worker -------------------------------------------------------------------------------------------

    def _post(self, message: _Message) -> None:
        with self._wake:
            if self._closing or not self._thread.is_alive():
                if isinstance(message, _Cancel):
                    return
                raise ExecutorError("the engine has been closed")
            self._inbox.append(message)
            self._wake.notify()

    def _run(self) -> None:
        try:
            while self._wait():
                self._handle_messages()
                self._deliver(self.engine.step())
            cause = ExecutorError("the engine was closed while the request was under way")
        except Exception as error:  # noqa: BLE001 -- the worker's rim: whatever broke, every caller must hear of it
            cause = ExecutorError(f"the engine's worker failed: {type(error).__name__}: {error}")
            cause.__cause__ = error
        self._fail(cause)

    def _wait(self) -> bool:
        """Sleep until there is work; False when it is time to end. Bookkeeping is checked after a while of quiet."""
        with self._wake:
            checked = False
            while not self._inbox and not self.engine.busy and not self._closing:
                if not self._wake.wait(None if checked else _QUIET_SECONDS) and not checked:
                    self.engine.scheduler.check()
                    checked = True
            return not self._closing

    def _handle_messages(self) -> None:
        while self._inbox:
            message = self._inbox.popleft()
            if isinstance(message, _Submit):
                self._submit(message)
            elif isinstance(message, _Cancel):
                self.engine.cancel(message.request_id)
                self._mailboxes.pop(message.request_id, None)
            else:
                message.work()

    def _submit(self, message: _Submit) -> None:
        try:
            self.engine.submit(message.prepared)
        except EngineError as error:
            _hand_over([(message.mailbox, error)])
        else:
            self._mailboxes[message.prepared.request.id] = message.mailbox

    def _deliver(self, deltas: list[Delta]) -> None:
        _hand_over([(box, delta) for delta in deltas if (box := self._mailboxes.get(delta.request_id))])
        for delta in deltas:
            if delta.finish is not None and not self.engine.knows(delta.request_id):
                self._mailboxes.pop(delta.request_id, None)
            elif delta.request_id in self._mailboxes and self._mailboxes[delta.request_id].loop.is_closed():
                self.engine.cancel(delta.request_id)
                del self._mailboxes[delta.request_id]

    def _fail(self, error: ExecutorError) -> None:
        self.engine.failure = error
        with self._wake:
            self._closing = True
            left = list(self._inbox)
            self._inbox.clear()
        boxes = [*self._mailboxes.values(), *(m.mailbox for m in left if isinstance(m, _Submit))]
        _hand_over([(box, error) for box in boxes])
        for message in left:
            if isinstance(message, _Call):
                message.abandon()
        self.engine.executor.close()


def _hand_over(parcels: Sequence[_Parcel]) -> None:
    """One call per event loop, whatever the number of parcels."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Parcel]] = {}
    for parcel in parcels:
        by_loop.setdefault(parcel[0].loop, []).append(parcel)
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody reads there any more
            loop.call_soon_threadsafe(_open, mine)


def _open(parcels: list[_Parcel]) -> None:
    for mailbox, item in parcels:
        mailbox.put(item)


def _settle(future: concurrent.futures.Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 -- whatever a call fails with is its caller's; the worker goes on
        future.set_exception(error)
