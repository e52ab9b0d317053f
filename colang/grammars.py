"""Ready parsers from grammar files.

Working out the LALR tables of a grammar costs a third of a second, so `scripts/build_grammars.py` writes them beside the
grammar as `tables.json`. They are used when they were made from this very grammar by the installed release of lark;
otherwise the parser is built from the grammar, which is slower and gives the same parser.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef, Token

GRAMMAR = "grammar.lark"
TABLES = "tables.json"


class Layout(Protocol):
    """Turns NEWLINE tokens into the layout tokens of a grammar."""

    always_accept: tuple[str, ...]

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens of a file with its layout told by tokens too; raises what the grammar's parser handles."""


def load_parser(folder: Path, layout: Layout, start: tuple[str, ...]) -> lark.Lark:
    """The LALR parser of the grammar in `folder`, from its tables where they fit."""
    grammar = (folder / GRAMMAR).read_text(encoding="utf-8")
    tables = folder / TABLES
    if tables.is_file():
        saved = json.loads(tables.read_text(encoding="utf-8"))
        if saved["made_from"] == _made_from(grammar, start):
            return _restore(saved, layout)
    return build_parser(grammar, layout, start)


def build_parser(grammar: str, layout: Layout, start: tuple[str, ...]) -> lark.Lark:
    """The LALR parser of `grammar`, worked out from scratch."""
    return lark.Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=list(start),
        postlex=layout,
        propagate_positions=True,
        maybe_placeholders=False,
    )


def dump_tables(folder: Path, layout: Layout, start: tuple[str, ...]) -> str:
    """The tables of the grammar in `folder` as JSON, for `load_parser`."""
    grammar = (folder / GRAMMAR).read_text(encoding="utf-8")
    data, memo = build_parser(grammar, layout, start).memo_serialize([TerminalDef, Rule])
    data["options"]["postlex"] = None
    saved = {"made_from": _made_from(grammar, start), "data": data, "memo": memo}
    return json.dumps(saved, separators=(",", ":"), sort_keys=True) + "\n"


def _made_from(grammar: str, start: tuple[str, ...]) -> str:
    digest = hashlib.sha256(grammar.encode()).hexdigest()
    return f"lark {lark.__version__}, {' '.join(start)}, sha256 {digest}"


def _restore(saved: dict[str, Any], layout: Layout) -> lark.Lark:
    data = saved["data"]
    table = data["parser"]["parser"]
    table["tokens"] = _numbered(table["tokens"])
    table["states"] = {state: _numbered(actions) for state, actions in _numbered(table["states"]).items()}
    # lark's own stand-alone parsers start this way; its public `load` would read a pickle.
    parser: lark.Lark = lark.Lark._load_from_dict(  # type: ignore[no-untyped-call]  # noqa: SLF001
        data, _numbered(saved["memo"]), postlex=layout
    )
    return parser


def _numbered(keyed: dict[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in keyed.items()}
