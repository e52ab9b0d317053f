"""The chat of the command line: a conversation in a terminal, or over a pipe.

The thinking part is pure. `session.Session` takes what happened (a line was typed, the conversation sent an event, time
passed) and returns what to do (show a text, give events to the conversation, restart, leave). It plays the user's
system: it "performs" the bot's actions (`bot_actions`) by saying that they started and finished, keeps the timers, and
remembers the scenes on display. `inspect` answers the debugger's questions from a `flow_snapshot`, and `turn_log` is what
`--verbose` shows. `driver` alternates the session with the engine, and `terminal` and `pipe` are the two thin rims that
read lines and print.
"""

from app.cli.chat.command import ChatOptions, Remote, run_chat

__all__ = ["ChatOptions", "Remote", "run_chat"]
