"""Fuzz the Colang 1.0 reader: any text gives definitions or an error that says what and where."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["colang"]):
    from colang.errors import ColangLoadError, ColangSyntaxError
    from colang.source import Source
    from colang.v1 import definitions_of, parse_all


def one_input(data: bytes) -> None:
    """What libFuzzer calls with each input."""
    source = Source("fuzz.co", data.decode("utf-8", errors="replace"))
    try:
        definitions = definitions_of([source])
    except ColangSyntaxError as error:
        if not error.message or error.span.line < 1:
            raise RuntimeError("an error says what and where") from error
        if not parse_all(source)[1]:
            raise RuntimeError("what fails as a whole has an error in some part") from error
        return
    except ColangLoadError:
        return
    for flow in definitions.flows:
        for element in flow.elements:
            targets = (getattr(element, "target", 0), *getattr(element, "targets", ()))
            if not all(0 <= target <= len(flow.elements) for target in targets):
                raise RuntimeError(f"flow {flow.name} jumps out of itself")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
