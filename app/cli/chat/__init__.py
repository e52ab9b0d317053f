"""The chat of the command line: a conversation in a terminal, or over a pipe.

The thinking part is pure. `session.Session` takes what happened (a line was typed, the conversation sent an event, time
passed) and returns what to do (show a text, give events to the conversation, restart, leave). It plays the user's
system: it "performs" the bot's actions by saying that they started and finished, keeps the timers, and remembers the
scenes on display. `inspect` answers the debugger's questions about flows. `driver` alternates the session with the
engine, and `terminal` and `pipe` are the two thin rims that read lines and print.
"""

from app.cli.chat.driver import Conversation, Driver
from app.cli.chat.pipe import Pipe
from app.cli.chat.session import Session
from app.cli.chat.terminal import Terminal

__all__ = ["Conversation", "Driver", "Pipe", "Session", "Terminal"]
