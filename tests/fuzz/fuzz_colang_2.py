"""Fuzz the Colang 2.x parser: any text gives a tree or a ColangSyntaxError, and a tree survives being written and read.

Run `scripts/fuzz`, or this file with libFuzzer's arguments and corpus folders.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["colang"]):
    from colang.errors import ColangSyntaxError
    from colang.format import format_file
    from colang.source import Source
    from colang.v2 import parse, parse_all


def one_input(data: bytes) -> None:
    """What libFuzzer calls with each input."""
    source = Source("fuzz.co", data.decode("utf-8", errors="replace"))
    try:
        file = parse(source)
    except ColangSyntaxError as error:
        if not error.message or error.span.line < 1:
            raise RuntimeError("an error says what and where") from error
        if not parse_all(source)[1]:
            raise RuntimeError("what fails as a whole has an error in some part") from error
        return
    written = format_file(file)
    if parse(Source("written.co", written)) != file:
        raise RuntimeError(f"this tree does not survive: {written!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
