"""Reading a stream so that it is closed when the reader leaves, however it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Reading(Generic[T]):
    """`async with Reading(iterator) as items`: closes generators, and leaves iterators that cannot be closed."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._items

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close = getattr(self._items, "aclose", None)
        if close:
            await close()
