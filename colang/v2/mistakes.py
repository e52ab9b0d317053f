"""What is wrong with a text that the grammar refuses, in the author's words.

The parser stops at a token, with a stack of states. `EXAMPLES` are malformed programs with the message that each
deserves; a mistake that stops the parser at the same kind of token with the same states on top (three, else two, else
one, as long as no two messages claim them) gets the same message. Before that come the mistakes
that show in the text itself (an unclosed string or bracket, a word of another language), and behind it the general
answer: what was found, and what could have stood there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from colang.problems import did_you_mean

EXAMPLES = {
    'an attribute or element cannot be assigned; call a method instead, as in `($d.update({"key": 1}))`': (
        "flow a\n  $x.y = 1\n",
        "flow a\n  $x[0] = 1\n",
    ),
    "a value alone has no effect; assign it (`$x = ...`) or put a verb in front of it (`await $x`)": (
        "flow a\n  $x\n",
        "flow a\n  $x + 1\n",
    ),
    'a string alone on a line must be triple-quoted; to say it, write `bot say "..."`': (
        'flow a\n  "x"\n',
        'flow a\n  pass\n  "x"\n',
        'flow a\n  if $x\n    pass\n  "x"\n',
    ),
    "no colon stands behind the header of a flow": (
        "flow a:\n  pass\n",
        "flow a $x:\n  pass\n",
        "flow a $x=1:\n  pass\n",
        "flow a($x):\n  pass\n",
        "flow a -> $x:\n  pass\n",
    ),
    "leave out parentheses with nothing inside": ("flow a()\n  pass\n",),
    "a parameter begins with `$`": (
        "flow a(x)\n  pass\n",
        "flow a($x, y)\n  pass\n",
        "flow a -> x\n  pass\n",
    ),
    "a flow needs a name": ("flow\n  pass\n", "flow $x\n  pass\n"),
    "a name consists of words of letters, digits and underscores": (
        "flow a-b\n  pass\n",
        'flow "a"\n  pass\n',
        "flow a 1\n  pass\n",
        "flow a.b\n  pass\n",
    ),
    "inside parentheses a named argument has no `$`: `name(x=1)`": (
        "flow a\n  b($x=1)\n",
        "flow a\n  b(1, $x=1)\n",
        "flow a\n  $x = b(1, $x=1)\n",
    ),
    "outside parentheses a named argument has a `$`: `name $x=1`": ("flow a\n  b x=1\n",),
    "write arguments with comparisons, `and`, `or` or `not` in parentheses: `name($x > 1)`": (
        "flow a\n  b $x > 1\n",
        "flow a\n  b 1 == 1\n",
    ),
    "put the arguments in parentheses, separated by commas: `name(1, 2)`": (
        "flow a\n  b 1, 2\n",
        "flow a\n  b $x, 2\n",
        "flow a\n  b $x=1, $y=2\n",
        "flow a\n  b(1) 2\n",
        "flow a\n  b(1) $x\n",
        "flow a\n  b(1) [2]\n",
        'flow a\n  b(1) "x"\n',
        'flow a\n  b "x" (1)\n',
    ),
    "a variable begins with `$`: `$x = ...`": ("flow a\n  x = 1\n", "flow a\n  x += 1\n"),
    "a line cannot end with `and` or `or`; begin the next line with it": (
        "flow a\n  b and\n  c\n",
        "flow a\n  b or\n  c\n",
        "flow a\n  match A() or\n    B()\n",
        "flow a\n  if $x and\n    pass\n",
        "flow a\n  if $x or\n    pass\n",
    ),
    "write `and` for `&&`, `or` for `||`": (
        "flow a\n  if $x && $y\n    pass\n",
        "flow a\n  if $x || $y\n    pass\n",
    ),
    "only flows can be decorated": ("@meta(a=1)\nimport x\n", "@active\nimport x\n", "@active\n$x = 1\n"),
    "a verb needs something to act on: a flow, an action, an event, or a group of them": (
        "flow a\n  await\n",
        "flow a\n  send\n  pass\n",
    ),
    "an operator is missing between two values": (
        "flow a\n  $x = 1 2\n",
        "flow a\n  $x = $y $z\n",
        'flow a\n  $x = 1 "a"\n',
        "flow a\n  if $x $y\n    pass\n",
    ),
}

_FIRST_WORDS = {
    "define": "this is Colang 1.0; in a 2.x file a flow is written `flow name`",
    "def": "a flow is written `flow name`",
    "for": "there is no `for`; write `while` with a counter",
    "execute": "`execute` is Colang 1.0; in 2.x an action is awaited: `await SomeAction()`",
}

_BRANCH_WORDS = {
    "else": "`else` belongs to an `if` or `when` at the same indentation, and there is none here",
    "elif": "`elif` belongs to an `if` at the same indentation, and there is none here",
    "or": "`or when` belongs to a `when` at the same indentation, and there is none here",
    "and": "a group continues on the line behind it, with no other statement between",
}

_OPENING = ("flow", "if", "elif", "else", "while", "when")

_CHARACTERS = {
    "$": "a variable is `$` and a name, which begins with a letter",
    ";": "there is no `;`: each statement stands on its own line",
    "\\": "there is no line continuation with a backslash; break the line inside brackets or before `and`/`or`",
    "!": "write `not` for `!`",
    "?": "there is no `?` here; a choice between values is `a if test else b`",
    "`": 'strings stand in straight quotes: "..."',
    "“": 'strings stand in straight quotes: "..."',
    "”": 'strings stand in straight quotes: "..."',
    "\u2018": "strings stand in straight quotes: '...'",
    "\u2019": "strings stand in straight quotes: '...'",
    "<": "write `!=` for `<>`",
    "*": "`*` and `**` stand between two values",
}

_WORDS = {
    "_NEWLINE": "the end of the line",
    "_REMARK": "",
    "_INDENT": "an indented body",
    "_DEDENT": "",
    "$END": "the end of the file",
    "NAME": "a name",
    "VARIABLE": "a variable",
    "STRING": "a string",
    "LONG_STRING": "a string",
    "NUMBER": "a value",
    "CONSTANT": "a value",
    "LSQB": "",
    "LBRACE": "",
    "ELLIPSIS": "",
    "TILDE": "",
    "SIGN": "an operator",
    "OPERATOR": "an operator",
    "STAR": "an operator",
    "__ANON_1": "an operator",
    "COMPARE": "a comparison",
    "NOT": "",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "DOT": "`.`",
    "EQUAL": "`=`",
    "AUGMENT": "`=`",
    "AT": "a decorator",
    "FLOW": "a flow",
    "IMPORT": "an import",
    "VERB": "a statement",
    "_AND": "`and`",
    "_OR": "`or`",
    "_AS": "`as $name`",
    "_IF": "",
    "_ELSE": "`else`",
}

_BODY = frozenset({"_INDENT", "NEWLINE", "_REMARK", "CONTINUATION", "COMMENT", "BLANK"})
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_SKIPPED = re.compile(
    r'"""(?:[^\\]|\\[\s\S])*?"""|\'\'\'(?:[^\\]|\\[\s\S])*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*'
    r"|[()\[\]{}]"
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where the parser stopped, at what, and what would have let it go on."""

    text: str
    token: Token
    states: tuple[int, ...]
    accepts: frozenset[str]

    @property
    def line(self) -> str:
        """The line in which the parser stopped."""
        return self.text.split("\n")[(self.token.line or 1) - 1]

    @property
    def before(self) -> str:
        """What stands in front of the token in its line."""
        return self.line[: (self.token.column or 1) - 1]

    @property
    def word_before(self) -> str:
        """The word right in front of the token."""
        word = re.search(r"(\w*)\W*$", self.before)
        return word.group(1) if word else ""

    def at(self, word: str) -> bool:
        """True if this word is what the parser stopped at."""
        return str(self.token) == word

    @property
    def is_first(self) -> bool:
        """True if nothing stands in front of the token in its line."""
        return not self.before.strip()

    def line_above(self) -> Token:
        """The last line before the token's that says something, or the token's own at the end of the file."""
        lines = self.text.split("\n")
        number = self.token.line or 1
        first = number if self.token.type in {"$END", "_DEDENT"} else number - 1
        for above in range(first, 0, -1):
            code = lines[above - 1].partition("#")[0].rstrip()
            if code:
                column = len(code) - len(code.lstrip()) + 1
                return Token("LINE", code.lstrip(), None, above, column, above, len(code) + 1)
        return self.token


def explain(error: UnexpectedInput, text: str, parser: Lark) -> tuple[str, Token]:
    """The message for `error` in `text`, and the token to point at."""
    mistake = _mistake(error, text)
    bracket = _open_bracket(mistake)
    if bracket is not None:
        return f"`{bracket}` is never closed", bracket
    for rule in _RULES:
        message = rule(mistake)
        if message:
            return message, _place(mistake)
    return _by_example(mistake, parser) or _general(mistake), mistake.token


def _place(mistake: Mistake) -> Token:
    """Where to point: at a header without a body, or at a line that only looks like one, rather than behind it."""
    if mistake.accepts <= _BODY:
        return mistake.line_above()
    above = mistake.line_above()
    is_header = mistake.token.type == "_INDENT" and _first_word(above) in _FIRST_WORDS | _BRANCH_WORDS
    return above if is_header else mistake.token


def _by_example(mistake: Mistake, parser: Lark) -> str | None:
    known = _examples(parser)
    found = (known.get(key) for key in _keys(mistake))
    return next((message for message in found if message), None)


def _keys(mistake: Mistake) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What a mistake is known by, the most telling first."""
    for depth in (3, 2, 1):
        if len(mistake.states) >= depth:
            yield mistake.token.type, mistake.states[-depth:]


def _mistake(error: UnexpectedInput, text: str) -> Mistake:
    # lark says `int` for the state; it is the parser's state object, which holds the stack.
    states = tuple(getattr(error.state, "state_stack", ()))
    if isinstance(error, UnexpectedToken):
        token = error.token if error.token.type != "$END" else _end(text)
        return Mistake(text, token, states, frozenset(error.accepts or error.expected))
    if isinstance(error, UnexpectedCharacters):
        behind = error.column + 1
        token = Token(
            "CHARACTER", error.char, error.pos_in_stream, error.line, error.column, error.line, behind
        )
        return Mistake(text, token, states, frozenset(error.allowed or ()))
    return Mistake(text, _end(text), states, frozenset())


def _end(text: str) -> Token:
    """The end of the text; lark says line 1."""
    lines = text.rstrip().split("\n")
    column = len(lines[-1]) + 1
    return Token("$END", "", len(text), len(lines), column, len(lines), column + 1)


@functools.lru_cache(maxsize=1)
def _examples(parser: Lark) -> dict[tuple[str, tuple[int, ...]], str]:
    """Message by key; an empty one where messages disagree."""
    found: dict[tuple[str, tuple[int, ...]], str] = {}
    for message, programs in EXAMPLES.items():
        for program in programs:
            for key in _keys(example_mistake(program, parser)):
                found[key] = message if found.get(key, message) == message else ""
    return found


def example_mistake(program: str, parser: Lark) -> Mistake:
    """Where the parser stops in a malformed program.

    Raises:
        ValueError: if nothing stops it.
    """
    try:
        parser.parse(program.rstrip(), start="file")
    except UnexpectedInput as error:
        return _mistake(error, program)
    raise ValueError(f"this example of a mistake reads well: {program!r}")


def _open_bracket(mistake: Mistake) -> Token | None:
    """The bracket, opened on an earlier line, that the parser was still inside of."""
    if (
        mistake.token.type in {"_NEWLINE", "_INDENT", "_DEDENT", "_REMARK"}
        and mistake.token.start_pos is None
    ):
        return None
    opened: list[re.Match[str]] = []
    end = mistake.token.start_pos if mistake.token.start_pos is not None else len(mistake.text)
    for match in _SKIPPED.finditer(mistake.text, 0, end):
        mark = match.group()
        if mark in _BRACKETS.values():
            opened.append(match)
        elif opened and _BRACKETS.get(mark) == opened[-1].group():
            opened.pop()
    if not opened:
        return None
    start = opened[-1].start()
    line = mistake.text.count("\n", 0, start) + 1
    if line == mistake.token.line and mistake.token.type not in {"$END", "_NEWLINE"}:
        return None
    column = start - mistake.text.rfind("\n", 0, start)
    return Token("LPAR", opened[-1].group(), start, line, column, line, column + 1)


def _unclosed_string(mistake: Mistake) -> str | None:
    if mistake.token.type != "CHARACTER" or mistake.token not in {'"', "'"}:
        return None
    return "this string is never closed; one over several lines has triple quotes"


def _bad_character(mistake: Mistake) -> str | None:
    if mistake.token.type != "CHARACTER":
        return None
    if mistake.token.isdigit():
        return "a name or number cannot be written so: names begin with a letter, numbers are decimal"
    return _CHARACTERS.get(str(mistake.token))


def _bad_first_word(mistake: Mistake) -> str | None:
    """A word of another language, or a branch without its head; the line itself may have read as a call of a flow."""
    if mistake.token.type == "_INDENT":
        return (_FIRST_WORDS | _BRANCH_WORDS).get(_first_word(mistake.line_above()))
    word = _first_word(mistake.line)
    return _FIRST_WORDS.get(word) or (_BRANCH_WORDS.get(word) if mistake.is_first else None)


def _first_word(line: str) -> str:
    word = re.match(r"\s*(\w*)", line)
    return word.group(1) if word else ""


def _assignment_for_comparison(mistake: Mistake) -> str | None:
    is_test = _first_word(mistake.line) in {"if", "elif", "else", "while", "return"}
    if mistake.token.type == "EQUAL" and is_test:
        return "`=` assigns; a comparison is written `==`"
    return None


def _operator_with_assignment(mistake: Mistake) -> str | None:
    end = mistake.token.end_pos
    if mistake.token.type == "OPERATOR" and end is not None and mistake.text[end : end + 1] == "=":
        return f"there is no `{mistake.token}=`; write `$x = $x {mistake.token} ...`"
    return None


def _bare_word(mistake: Mistake) -> str | None:
    """A word where a value belongs, which only a call could be: `(` is all that may follow."""
    if mistake.at("for"):
        return "there is no `for` inside brackets; write a `while` loop that appends"
    if mistake.at("as") or (mistake.accepts == {"LPAR"} and mistake.word_before == "as"):
        return "a variable to store the result in is missing: `as $name`"
    if mistake.accepts != {"LPAR"}:
        return None
    if mistake.word_before in {"true", "false", "null", "none"}:
        return "`True`, `False` and `None` are written with a capital"
    return f"`{mistake.word_before}` is no value: a text stands in quotes, a variable begins with `$`"


def _one_line(mistake: Mistake) -> str | None:
    """What stands on one line here and belongs on several."""
    word, before = _first_word(mistake.line), mistake.before.rstrip()
    if word == "else" and mistake.at("when"):
        return "a further case is written `or when`"
    if word == "global" and mistake.accepts <= _ENDS:
        return "`global` names one variable; write a line for each"
    if before.endswith(":") and word in _OPENING and mistake.accepts <= _ENDS | _BODY:
        return "the body begins on the next line, indented"
    return None


_ENDS = frozenset({"_NEWLINE", "COMMENT", "BLANK", "NEWLINE", "CONTINUATION"})


def _indentation(mistake: Mistake) -> str | None:
    if mistake.token.type == "_INDENT":
        hint = did_you_mean(_first_word(mistake.line_above()), _OPENING)
        message = "this line is indented more than the one above it, which opens no block"
        return f"{message}; {hint}" if hint else message
    if mistake.accepts <= _BODY:
        return "an indented body is missing; write `pass` where there is nothing to do"
    return None


_RULES: tuple[Callable[[Mistake], str | None], ...] = (
    _unclosed_string,
    _bad_first_word,
    _assignment_for_comparison,
    _operator_with_assignment,
    _bare_word,
    _one_line,
    _indentation,
    _bad_character,
)


def _general(mistake: Mistake) -> str:
    expected = _listed(_WORDS.get(name, "") for name in mistake.accepts)
    found = _found(mistake.token)
    return f"{found}; expected {expected}" if expected else found


def _found(token: Token) -> str:
    if token.type in {"_NEWLINE", "_REMARK", "$END"}:
        return "the line ends too early"
    if token.type == "_DEDENT":
        return "the block ends too early"
    return f"`{token}` cannot stand here"


def _listed(words: Iterable[str]) -> str:
    *most, last = sorted({word for word in words if word}) or [""]
    return f"{', '.join(most)} or {last}" if most else last
