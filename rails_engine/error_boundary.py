"""Where code of users runs, or a library that raises what it likes.

It becomes one error that says whose it is (`ErrorBoundary`), or is told and goes on (`OnError`).
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any


class ErrorBoundary:
    """`with ErrorBoundary(made): …` raises what the body raises as `made(error)`, with the error as its cause.

    Errors of the types in `passing`, cancellation and interrupts go on as they are; `sys.exit()` is an error like others.
    """

    __slots__ = ("_made", "_passing")

    def __init__(
        self, made: Callable[[Exception], Exception], passing: tuple[type[Exception], ...] = ()
    ) -> None:
        self._made = made
        self._passing = passing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SystemExit):
            ended = RuntimeError(f"sys.exit({error.code!r}) was called").with_traceback(error.__traceback__)
            raise self._made(ended) from error
        if isinstance(error, Exception) and not isinstance(error, self._passing):
            raise self._made(error) from error


class OnError:
    """`with OnError(tell): …` tells of what ends the body early, cancellation too; it goes on as it is.

    Only errors of `kind` are told.
    """

    __slots__ = ("_kind", "_tell")

    def __init__(
        self, tell: Callable[[BaseException], object], kind: type[BaseException] = BaseException
    ) -> None:
        self._tell = tell
        self._kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, self._kind):
            self._tell(error)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are equal; those whose comparison raises, as that of a caller's values may, are not."""
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 -- the rim: a caller's `__eq__` may raise anything
        return False
