"""Shows that something is being done, once it has taken a second, and how far it is."""

from __future__ import annotations

import sys
import threading
import time
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


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """Yields what is told how much is done, of how much; after a second a terminal shows it as a bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(text, total=None)
    begun = time.monotonic()
    shown = False

    def tell(done: int, of: int) -> None:
        nonlocal shown
        bar.update(task, completed=done, total=of)
        if not shown and time.monotonic() - begun >= PATIENCE_SECONDS:
            shown = True
            if bar.console.is_terminal:
                bar.start()
            else:
                sys.stderr.write(f"{text} {of:,} in all\n")

    try:
        yield tell
    finally:
        if bar.live.is_started:  # stopping one that was never shown prints an empty line
            bar.stop()
