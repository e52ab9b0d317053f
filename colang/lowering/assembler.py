"""Collects the instructions of one flow; labels are placed later than they are used."""

from __future__ import annotations

from dataclasses import replace

from colang.instructions import Branch, Fork, Handler, Instruction, Jump
from colang.source import Span


class Assembler:
    """Instructions in the making. A label is a negative number until `finish` knows its place."""

    def __init__(self, flow_id: str) -> None:
        self.flow_id = flow_id
        self.loops: list[tuple[int, int]] = []
        """For each enclosing `while`: the labels of its test and of its end."""
        self._code: list[tuple[Instruction, Span]] = []
        self._places: dict[int, int] = {}
        self._labels = 0
        self._hidden = 0

    def emit(self, instruction: Instruction, span: Span) -> None:
        """Add the next instruction, with its place in the source."""
        self._code.append((instruction, span))

    def label(self) -> int:
        """A fresh label, to be placed later."""
        self._labels += 1
        return -self._labels

    def place(self, label: int) -> None:
        """`label` is the next instruction."""
        self._places[label] = len(self._code)

    def hidden(self) -> str:
        """A fresh variable that no author can name."""
        self._hidden += 1
        return f"&{self._hidden}"

    def finish(self) -> tuple[tuple[Instruction, ...], tuple[Span, ...]]:
        """The instructions with every label replaced by its place, and where each stands in the source."""
        code = tuple(self._resolved(instruction) for instruction, _ in self._code)
        return code, tuple(span for _, span in self._code)

    def _resolved(self, instruction: Instruction) -> Instruction:
        if isinstance(instruction, (Jump, Handler)):
            return replace(instruction, target=self._places[instruction.target])
        if isinstance(instruction, Branch):
            return replace(instruction, otherwise=self._places[instruction.otherwise])
        if isinstance(instruction, Fork):
            return replace(instruction, targets=tuple(self._places[target] for target in instruction.targets))
        return instruction
