"""Recording a machine's graphs. Meanwhile every row is padding: it has no context, and nothing is written."""

from __future__ import annotations

from torch import Tensor

from inference_backend.executors.cuda.machine import Machine
from inference_backend.executors.cuda.sampling import draw
from inference_backend.kernels import AdapterRows
from inference_backend.layers import StepContext


def capture(machine: Machine, *, last_stage: bool, measured: bool) -> None:
    """Capture all graphs of a machine; `measured` ones give way to larger ones that are faster.

    Ranks of one model must all take the same graph, and each would measure times of its own: theirs are not measured.
    """
    machine.step.slot_mapping.fill_(-1)
    machine.mixed.capture(lambda tokens: _mixed(machine, tokens))
    hidden: dict[int, Tensor] = {}

    def forward(rows: int) -> Tensor:
        hidden[rows] = _decode(machine, rows, None)
        return hidden[rows]

    def adapted(rows: int) -> Tensor:
        # Where the base model's graph leaves its states, so that the same graphs of sampling follow.
        return hidden[rows].copy_(_decode(machine, rows, AdapterRows(machine.adapters[:rows], ())))

    machine.forward.capture(forward)
    machine.adapted.capture(adapted)
    if measured:
        machine.mixed.measure()
        machine.forward.measure()
    if last_stage:
        model = machine.model.model
        machine.sampling.capture(lambda rows: draw(model.logits(hidden[rows], narrow=True), machine.step))


def _decode(machine: Machine, rows: int, adapters: AdapterRows | None) -> Tensor:
    inputs = machine.attention(rows, rows, rows, machine.model.positions)
    out: Tensor = machine.model.model(machine.entering(rows), StepContext(inputs, machine.caches, adapters))
    return out


def _mixed(machine: Machine, tokens: int) -> Tensor:
    inputs = machine.attention(tokens, machine.rows_among(tokens), -1, machine.model.positions)
    out: Tensor = machine.model.model(machine.entering(tokens), StepContext(inputs, machine.caches))
    return out
