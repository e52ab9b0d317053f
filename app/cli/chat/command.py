"""Joins the parts of the chat: the configuration's engine, the session, and the rim that fits standard input."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.bundled import NoSuchConfigError, find_config
from app.cli.chat.driver import Conversation, Driver, Screen
from app.cli.chat.events_conversation import EventsConversation
from app.cli.chat.inside import Inside
from app.cli.chat.messages_conversation import MessagesConversation
from app.cli.chat.pipe import Pipe
from app.cli.chat.rails_answers import RailsAnswers
from app.cli.chat.session import Session
from app.cli.faults import UsageError
from app.cli.logs import Verbosity, set_up
from app.cli.progress import progress, progress_bar
from app.settings import Settings
from app.wiring import open_rails

if TYPE_CHECKING:
    from rails_engine import LLMRails


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
        rails = open_rails(path)
    asyncio.run(_hold(rails, options))


async def _hold(rails: LLMRails, options: ChatOptions) -> None:
    with progress_bar("Indexing the documents ...") as tell:
        await rails.build_knowledge_base(tell)
    either_side_speaks = rails.config.colang_version != "1.0"
    screen = _screen(eager=either_side_speaks)
    inside = Inside(options.verbosity, screen.show)
    conversation: Conversation
    if either_side_speaks:
        seed = 0 if Settings.from_environment().debug_mode else None
        conversation = EventsConversation(rails, inside, seed)
    else:
        conversation = MessagesConversation(
            RailsAnswers(rails), inside, screen.piece if options.streaming else None
        )
    session = Session(clock=time.monotonic, uids=lambda: str(uuid.uuid4()))
    await Driver(conversation, session, screen, time.monotonic).run()


def _screen(*, eager: bool) -> Screen:
    """A prompt for a person, plain lines for a pipe."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        from app.cli.chat.terminal import Terminal

        print("Starting the chat (Press Ctrl + C twice to quit) ...")  # noqa: T201 -- the terminal is ours
        return Terminal(eager=eager)
    return Pipe()
