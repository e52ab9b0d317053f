"""The programs beside this file report exactly the problems that their comments announce."""

from __future__ import annotations

from pathlib import Path

import pytest

from colang import Dialect, check
from tests.colang.chunks import Chunk, chunks, disagreements

PROGRAMS = list(chunks(Path(__file__).parent / "programs"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program(program: Chunk) -> None:
    assert disagreements(program, check([program.source], dialect=Dialect.ONE)) == []
