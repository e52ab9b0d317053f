"""Joins the parts of the chat: the configuration's engine, the session, and the rim that fits standard input."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from app.bundled import find_config
from app.cli.chat.driver import Conversation, Driver, Screen
from app.cli.chat.events_conversation import EventsConversation
from app.cli.chat.messages_conversation import Answering, MessagesConversation
from app.cli.chat.pipe import Pipe
from app.cli.chat.rails_answers import RailsAnswers
from app.cli.chat.server_answers import ServerAnswers
from app.cli.chat.session import Session
from app.cli.chat.turn_log import TurnLog
from app.cli.logs import Verbosity, set_up
from app.cli.progress import progress, progress_bar
from app.errors import UsageError
from app.settings import Settings
from app.wiring import open_rails

if TYPE_CHECKING:
    from rails_engine import LLMRails


@dataclass(frozen=True, slots=True)
class Remote:
    """A guardrails server, and the configuration of it to talk to."""

    url: str
    config_id: str

    @classmethod
    def of(cls, url: str | None, config_id: str | None) -> Remote | None:
        """From the options of the command line; None where the chat runs here.

        Raises:
            UsageError: one is given without the other, or the address is none.
        """
        if url is None and config_id is None:
            return None
        if url is None or config_id is None:
            raise UsageError("--server-url and --config-id go together: the server, and its configuration.")
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--server-url {url}: an address begins with http:// or https://")
        return cls(url, config_id)


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """With `remote` a server answers, and `config` is not read."""

    config: str
    streaming: bool
    verbosity: Verbosity
    remote: Remote | None = None


def run_chat(options: ChatOptions) -> None:
    """Hold one conversation until the user leaves or the input ends.

    Raises:
        NoSuchConfigError: there is no such configuration.
        ConfigurationError, ColangError: it cannot be used.
    """
    set_up(options.verbosity)
    if options.remote is not None:
        answers = ServerAnswers(options.remote.url, options.remote.config_id)
        asyncio.run(_hold(_in_messages(answers, options), eager=False))
        return
    path = find_config(options.config)
    with progress(f"Loading {path} ..."):
        rails = open_rails(path)
    asyncio.run(_hold_here(rails, options))


async def _hold_here(rails: LLMRails, options: ChatOptions) -> None:
    with progress_bar("Indexing the documents ...") as tell:
        await rails.build_knowledge_base(tell)
    either_side_speaks = rails.config.colang_version != "1.0"
    conversation = (
        _in_events(rails, options) if either_side_speaks else _in_messages(RailsAnswers(rails), options)
    )
    await _hold(conversation, eager=either_side_speaks)


OpenConversation: TypeAlias = Callable[[Screen], Conversation]


def _in_messages(answers: Answering, options: ChatOptions) -> OpenConversation:
    def opened(screen: Screen) -> Conversation:
        turn_log = TurnLog(options.verbosity, screen.show)
        return MessagesConversation(answers, turn_log, screen.piece if options.streaming else None)

    return opened


def _in_events(rails: LLMRails, options: ChatOptions) -> OpenConversation:
    def opened(screen: Screen) -> Conversation:
        seed = 0 if Settings.from_environment().debug_mode else None
        return EventsConversation(rails, TurnLog(options.verbosity, screen.show), seed)

    return opened


async def _hold(conversation: OpenConversation, *, eager: bool) -> None:
    screen = _screen(eager=eager)
    session = Session(clock=time.monotonic, uids=lambda: str(uuid.uuid4()))
    await Driver(conversation(screen), session, screen, time.monotonic).run()


def _screen(*, eager: bool) -> Screen:
    """A prompt for a person, plain lines for a pipe."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        from app.cli.chat.terminal import Terminal

        print("Starting the chat (Press Ctrl + C twice to quit) ...")  # noqa: T201 -- the terminal is ours
        return Terminal(eager=eager)
    return Pipe()
