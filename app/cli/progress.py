"""Shows that something is being done, once it has taken a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE_SECONDS: Final = 1.0


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Keep quiet for a second, then show `text`: with a spinner on a terminal, as one line on standard error else."""
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
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
