"""Shows that something is being done, once it has taken a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE_SECONDS: Final = 1.0


@contextmanager
def progress(text: str) -> Iterator[Callable[[], None]]:
    """Keep quiet for a second, then show `text`: with a spinner on a terminal, as one line on standard error else.

    Yields a function that ends the show early, for work whose outcome begins to appear before it is over.
    """
    from rich.console import Console

    console = Console(stderr=True)
    status = console.status(text)

    def show() -> None:
        if console.is_terminal:
            status.start()
        else:
            sys.stderr.write(f"{text}\n")

    timer = threading.Timer(PATIENCE_SECONDS, show)
    timer.daemon = True

    def end() -> None:
        timer.cancel()
        timer.join()
        status.stop()

    timer.start()
    try:
        yield end
    finally:
        end()
