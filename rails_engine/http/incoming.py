"""One answer as it comes in: its head, the pieces of its body, and its end or what broke it.

The connection puts in, the request takes out. Of a whole answer nothing is told before its end, so that it costs one
wake-up; of a streamed one every piece is, and a reader that falls behind stops the connection from reading on.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Protocol

from rails_engine.http.messages import HTTPAnswerSizeError, HTTPConnectionError

MAX_ANSWER_BYTES = 64 << 20
MAX_UNPACKED_PIECE = 8 << 20
HIGH_WATER, LOW_WATER = 256 << 10, 64 << 10
_PACKED = (b"gzip", b"x-gzip", b"deflate")
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class Tap(Protocol):
    """What an answer comes out of."""

    def pause(self) -> None:
        """Read nothing more for now."""

    def resume(self) -> None:
        """Read on."""


class Incoming:
    """See the module. `streaming` answers are told piece by piece; of others the body has at most `limit` bytes.

    `fields` are the header fields by lower-case name. `bodiless` answers (to HEAD) end with their head. `there`: nothing
    more is waited for, as the whole answer has come, or the head of a streamed one, or what broke it.
    """

    __slots__ = (
        "_buffered",
        "_pieces",
        "_size",
        "_tap",
        "_unpacker",
        "_waiter",
        "bodiless",
        "complete",
        "error",
        "fields",
        "keep",
        "limit",
        "status",
        "streaming",
        "there",
    )

    def __init__(
        self,
        tap: Tap | None = None,
        streaming: bool = False,
        bodiless: bool = False,
        limit: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.streaming = streaming
        self.bodiless = bodiless
        self.limit = limit
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.complete = False
        self.there = False
        self.keep = False
        self.error: BaseException | None = None
        self._tap = tap
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._buffered = 0
        self._unpacker: _Unpacker | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- what the connection puts in ---

    def head(self, status: int, fields: dict[bytes, bytes], *, keep: bool) -> None:
        """The head is there. `keep`: the connection may be used again after this answer."""
        self.status, self.fields, self.keep = status, fields, keep
        packing = fields.get(b"content-encoding")
        if packing is not None and not self.bodiless:
            self._unpacker = _unpacker(packing)
        if self.bodiless:
            self.keep = False
            self.end()
        elif self.streaming:
            self.there = True
            self._wake()

    def body(self, piece: bytes) -> None:
        """The next piece of the body."""
        if self._unpacker is not None:
            room = MAX_UNPACKED_PIECE if self.streaming else self.limit - self._size
            piece = self._unpacker.feed(piece, room)
        self._size += len(piece)
        self._pieces.append(piece)
        if self.streaming:
            self._buffered += len(piece)
            if self._buffered > HIGH_WATER and self._tap is not None:
                self._tap.pause()
            self._wake()
        elif self._size > self.limit:
            raise HTTPAnswerSizeError(f"an answer of more than {self.limit >> 20} MiB")

    def end(self) -> None:
        """The answer is whole."""
        if self._unpacker is not None and self._size and not self._unpacker.whole:
            raise HTTPConnectionError("the compressed answer ends in the middle")
        self.complete = self.there = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """No more will come."""
        if not self.complete and self.error is None:
            self.error, self.there = error, True
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- what the request takes out ---

    def require(self) -> None:
        """Raise what broke an answer that is `there`.

        Raises:
            HTTPClientError: what broke it.
        """
        if self.error is not None and not (self.streaming and self.status):
            raise self.error

    async def arrived(self) -> None:
        """Wait for the whole answer, or for the head of a streamed one.

        Raises:
            HTTPClientError: what broke it.
        """
        while not self.there:
            await self.more()
        self.require()

    async def read(self, at_most: int | None = None) -> bytes:
        """The rest of the body, or `at_most` bytes of it.

        Raises:
            HTTPClientError: what broke it; more than `limit` bytes.
        """
        if self.complete and at_most is None:
            return self.content
        parts, size = [], 0
        async for piece in self.pieces():
            parts.append(piece)
            size += len(piece)
            if at_most is not None and size >= at_most:
                return b"".join(parts)[:at_most]
            if size > self.limit:
                raise HTTPAnswerSizeError(f"an answer of more than {self.limit >> 20} MiB")
        return b"".join(parts)

    @property
    def content(self) -> bytes:
        """The body of an answer that is complete, and was not read piece by piece."""
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes.

        Raises:
            HTTPClientError: what broke it.
        """
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._buffered -= len(piece)
                if self._tap is not None and self._buffered < LOW_WATER:
                    self._tap.resume()
                yield piece
            if self.error is not None:
                raise self.error
            if self.complete:
                return
            await self.more()

    def more(self, loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Future[None]:
        """Done once there is more. `loop` is the one that runs, for callers who know it: to ask takes a system call."""
        self._waiter = (loop or asyncio.get_running_loop()).create_future()
        return self._waiter

    @property
    def headers(self) -> Headers:
        """The header fields as text."""
        return Headers(self.fields)


class Headers(Mapping[str, str]):
    """Header fields by lower-case name, made into text when somebody first looks."""

    __slots__ = ("_fields", "_text")

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._fields = fields
        self._text: dict[str, str] | None = None

    def text(self) -> dict[str, str]:
        """All of them."""
        if self._text is None:
            self._text = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in self._fields.items()
            }
        return self._text

    def __getitem__(self, name: str) -> str:
        return self.text()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.text())

    def __len__(self) -> int:
        return len(self._fields)


class _Unpacker:
    """gzip or zlib in pieces of any size; gzip may have several members."""

    def __init__(self, make: Callable[[], zlib._Decompress]) -> None:
        self._make = make
        self._stream = make()

    @property
    def whole(self) -> bool:
        return self._stream.eof

    def feed(self, data: bytes, room: int) -> bytes:
        """What `data` unpacks to.

        Raises:
            HTTPAnswerSizeError: more than `room` bytes.
            HTTPConnectionError: it is not compressed as the head says.
        """
        out = []
        try:
            while data:
                if self._stream.eof:
                    self._stream = self._make()
                out.append(self._stream.decompress(data, max(1, room)))
                room -= len(out[-1])
                if self._stream.unconsumed_tail:
                    raise HTTPAnswerSizeError("a compressed answer that is too large unpacked")
                data = self._stream.unused_data
        except zlib.error as error:
            raise HTTPConnectionError(f"the compressed answer is damaged: {error}") from error
        return b"".join(out)


def _unpacker(packing: bytes) -> _Unpacker | None:
    name = packing.strip().lower()
    if name in (b"", b"identity"):
        return None
    if name not in _PACKED:
        raise HTTPConnectionError(
            f"the answer is compressed as {name.decode('latin-1')!r}, which was not asked for"
        )
    return _Unpacker(lambda: zlib.decompressobj(_GZIP_OR_ZLIB))
