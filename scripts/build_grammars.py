"""Write the parse tables of the Colang grammars beside them. Run it after a change of a grammar or of lark's release."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from colang.grammars import TABLES, dump_tables  # noqa: E402  # the path comes first
from colang.layout import Indentation  # noqa: E402
from colang.v1 import parser as parser_1  # noqa: E402
from colang.v2 import parser as parser_2  # noqa: E402


def main() -> None:
    for parser in (parser_1, parser_2):
        path = parser.FOLDER / TABLES
        path.write_text(dump_tables(parser.FOLDER, Indentation(), parser.START), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
