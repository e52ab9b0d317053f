"""The command `nemoguardrails`.

`root` holds the commands and their options; each of them reads its parameters, calls one function of a module beside
it, and turns the outcome into text and an exit status. Heavy imports happen inside the commands, so that `--help` and
`--version` answer at once. `faults` is the rim for errors: a person sees what is wrong and what would be right, never
a traceback, unless one was asked for with `--debug-level DEBUG`; `logs` says how much of the inside is shown, and
`progress` shows that something is being done. `chat` is the conversation in a terminal, `check` the linter of
configurations, `intents` the report on how well intents are told apart, and `engine` the commands of the LLM engine.
"""

from app.cli.root import command, main

__all__ = ["command", "main"]
