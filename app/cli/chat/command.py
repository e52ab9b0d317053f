"""Joins the parts of the chat: the configuration's engine, the session, and the rim that fits standard input."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from dataclasses import dataclass

from app.bundled import NoSuchConfigError, find_config
from app.cli.chat.driver import Driver, Screen
from app.cli.chat.events_conversation import EventsConversation
from app.cli.chat.pipe import Pipe
from app.cli.chat.session import Session
from app.cli.faults import UsageError
from app.cli.logs import Verbosity, set_up
from app.cli.progress import progress
from app.wiring import open_rails


@dataclass(frozen=True, slots=True)
class ChatOptions:
    config: str
    streaming: bool
    verbosity: Verbosity


def run_chat(options: ChatOptions) -> None:
    """Hold one conversation until the user leaves or the input ends.

    Raises:
        UsageError: there is no such configuration.
        ConfigurationError, ColangError: it cannot be used.
    """
    set_up(options.verbosity)
    try:
        path = find_config(options.config)
    except NoSuchConfigError as error:
        raise UsageError(str(error)) from error
    with progress(f"Loading {path} ..."):
        rails = open_rails(path, verbose=options.verbosity.inside)
    session = Session(clock=time.monotonic, uids=lambda: str(uuid.uuid4()))
    driver = Driver(EventsConversation(rails), session, screen(), time.monotonic)
    asyncio.run(driver.run())


def screen() -> Screen:
    """A prompt for a person, plain lines for a pipe."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        from app.cli.chat.terminal import Terminal

        return Terminal()
    return Pipe()
