"""What is wrong with a text that the Colang 1.0 grammar refuses, in the author's words."""

from __future__ import annotations

import re

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from colang.problems import did_you_mean

_STATEMENTS = (
    "user", "bot", "event", "do", "execute", "set", "create", "label", "goto", "stop", "return", "continue", "break",
    "check", "priority", "meta", "if", "else", "while", "when", "any", "define", "pass", "abort", "done",
)  # fmt: skip
_BODY = frozenset({"_INDENT", "NEWLINE", "COMMENT", "BLANK"})
_ONLY_VARIABLE = re.compile(r"\s*\$\w+\s*(?:#.*)?\Z")
_ASSIGNMENT = re.compile(r"\$\w+\s*[+-]?=[^=]")
_DEFINITION = re.compile(r"\s*def(?:ine)?\b(?P<rest>[^\n]*)")


def explain(error: UnexpectedInput, text: str) -> tuple[str, Token]:
    """The message for `error` in `text`, and the token to point at."""
    token, expected = _stopped_at(error, text)
    lines = text.rstrip().split("\n")
    line = lines[(token.line or 1) - 1]
    if expected <= _BODY:
        return "an indented body is missing below this line", _last_line(lines, token)
    if token.type == "_INDENT":
        return "this line is indented more than the one above it, which opens no block", token
    first = not line[: (token.column or 1) - 1].strip()
    if token.type in {"_NEWLINE", "_REMARK", "$END"} and not _ONLY_VARIABLE.match(line):
        return "the line ends too early", token
    first = first or token.type in {"_NEWLINE", "_REMARK"}
    return (_first_word(line) if first else f"`{token}` cannot stand here"), token


def _first_word(line: str) -> str:
    definition = _DEFINITION.match(line)
    if definition:
        return f"`define` is followed by `user`, `bot`, `flow` or `subflow` and a name, not by `{definition['rest'].strip()}`"
    stripped = line.strip()
    if stripped.startswith('"'):
        return "a text stands below `define user`, `define bot` or a `bot` line"
    word = re.match(r"\$?\w*", stripped)
    name = word.group() if word and word.group() else stripped[:1]
    if name == "flow":
        return "this is Colang 2.x; in a 1.0 file a flow is written `define flow name`"
    if _ASSIGNMENT.match(stripped):
        return "no statement stands here: flows hold statements, `define user` holds texts in quotes"
    if name.startswith("$"):
        return f"`{name}` is followed by `=`, `+=` or `-=` and a value"
    hint = did_you_mean(name, _STATEMENTS)
    known = f"; {hint}" if hint else ""
    return f"Unknown main token '{name}': no statement begins with it here{known}"


def _stopped_at(error: UnexpectedInput, text: str) -> tuple[Token, frozenset[str]]:
    if isinstance(error, UnexpectedToken):
        return error.token, frozenset(error.accepts or error.expected)
    if isinstance(error, UnexpectedCharacters):
        line = text.split("\n")[error.line - 1]
        rest = line[error.column - 1 :]
        token = Token(
            "CHARACTER", rest, error.pos_in_stream, error.line, error.column, error.line, len(line) + 1
        )
        return token, frozenset(error.allowed or ())
    lines = text.split("\n")
    return Token("$END", "", len(text), len(lines), 1, len(lines), 1), frozenset()


def _last_line(lines: list[str], token: Token) -> Token:
    """The last line that says something before the token's, or the token's own at the end of the file."""
    last = len(lines) if token.type == "$END" else token.line or 1  # at the end of a file lark says line 1
    for above in range(last if token.type in {"$END", "_DEDENT"} else last - 1, 0, -1):
        code = lines[above - 1].partition("#")[0].rstrip()
        if code:
            column = len(code) - len(code.lstrip()) + 1
            return Token("LINE", code.lstrip(), None, above, column, above, len(code) + 1)
    return token
