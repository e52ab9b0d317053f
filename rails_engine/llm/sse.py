"""Server-sent events: bytes in, the data of each whole event out."""

from __future__ import annotations

MAX_EVENT_BYTES = 8 << 20
"""Most bytes of one event: its data so far, and the line that is not whole yet."""


class EventBuffer:
    """Takes bytes in pieces of any size. Comments and all fields but `data` are dropped."""

    def __init__(self) -> None:
        self._pending = b""
        self._data: list[str] = []
        self._size = 0
        """Bytes of the data of the event that is under way."""

    def feed(self, piece: bytes) -> list[str]:
        """The data of each event that is whole now.

        Raises:
            ValueError: an event is larger than `MAX_EVENT_BYTES`.
        """
        *lines, self._pending = (self._pending + piece).split(b"\n")
        events = [event for line in lines if (event := self._line(line.rstrip(b"\r"))) is not None]
        if self._size + len(self._pending) > MAX_EVENT_BYTES:
            raise ValueError(f"an event of more than {MAX_EVENT_BYTES >> 20} MiB")
        return events

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return "\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._size += len(value)
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        return None

    def finish(self) -> list[str]:
        """The last event, where the server closed without the empty line that ends it."""
        return self.feed(b"\n\n")
