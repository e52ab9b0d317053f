"""Commands and results as bytes: a JSON header, then the arrays it names, one after the other."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference_backend.errors import ExecutorError
from inference_backend.step import Join, StepPlan, StepResult, TokenMasks
from inference_backend.values import SamplingParameters

Kind: TypeAlias = Literal["launch", "sample", "adapter", "prefix", "close", "result", "number"]
Arrays: TypeAlias = dict[str, NDArray[Any]]
_LENGTH = 8
_JOIN_ARRAYS = ("prompt_ids", "output_ids", "stop_ids")
_DTYPES = {"int32", "bool", "float32"}


@dataclass(frozen=True, slots=True)
class Message:
    """A command or a result: plain data and arrays."""

    kind: Kind
    data: dict[str, Any]
    arrays: Arrays


def encode(message: Message) -> bytes:
    """A message as bytes: the header's length, the header, the arrays."""
    listed = [[name, str(array.dtype), list(array.shape)] for name, array in message.arrays.items()]
    header = json.dumps({"kind": message.kind, "data": message.data, "arrays": listed}).encode()
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in message.arrays.values())
    return len(header).to_bytes(_LENGTH, "little") + header + body


def decode(raw: bytes) -> Message:
    """The message.

    Raises:
        ExecutorError: the bytes are none.
    """
    size = int.from_bytes(raw[:_LENGTH], "little")
    header = json.loads(raw[_LENGTH : _LENGTH + size])
    arrays: Arrays = {}
    at = _LENGTH + size
    for name, dtype, shape in header["arrays"]:
        if dtype not in _DTYPES:
            raise ExecutorError(f"a message between ranks holds an array of {dtype}")
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(raw, dtype=dtype, count=count, offset=at).reshape(shape).copy()
        at += arrays[name].nbytes
    return Message(header["kind"], header["data"], arrays)


def plan_message(plan: StepPlan) -> Message:
    """A plan as the command to launch it."""
    arrays = {name: getattr(plan, name) for name in _plan_arrays()}
    joins = []
    for number, join in enumerate(plan.joins):
        # Constraints stay where the masks are made.
        sampling = asdict(replace(join.sampling, constraint=None))
        joins.append({"slot": join.slot, "seed": join.seed, "sampling": sampling})
        arrays |= {f"{number}.{name}": getattr(join, name) for name in _JOIN_ARRAYS}
    data = {"number": plan.number, "decode_rows": plan.decode_rows, "joins": joins}
    return Message("launch", data, arrays)


def read_plan(message: Message) -> StepPlan:
    """The plan of a launch command."""
    joins = tuple(
        Join(
            slot=join["slot"],
            seed=join["seed"],
            sampling=_read_sampling(join["sampling"]),
            **{name: message.arrays[f"{number}.{name}"] for name in _JOIN_ARRAYS},
        )
        for number, join in enumerate(message.data["joins"])
    )
    arrays = {name: message.arrays[name] for name in _plan_arrays()}
    data = message.data
    return StepPlan(number=data["number"], decode_rows=data["decode_rows"], joins=joins, **arrays)


def _plan_arrays() -> list[str]:
    return [field.name for field in fields(StepPlan) if field.name not in {"number", "decode_rows", "joins"}]


def _read_sampling(data: dict[str, Any]) -> SamplingParameters:
    data["logit_bias"] = tuple((int(token), float(bias)) for token, bias in data["logit_bias"])
    for name in ("stop", "stop_token_ids"):
        data[name] = tuple(data[name])
    return SamplingParameters(**data)


def masks_message(masks: TokenMasks | None) -> Message:
    """The command to sample, with the masks of constrained positions."""
    return Message("sample", {}, {} if masks is None else {"words": masks.words})


def read_masks(message: Message) -> TokenMasks | None:
    """The masks of a sample command; None where no position is constrained."""
    words = message.arrays.get("words")
    return None if words is None else TokenMasks(words)


def result_message(result: StepResult) -> Message:
    """A step's result on its way to rank 0."""
    arrays = {
        field.name: value
        for field in fields(StepResult)
        if field.name != "number" and (value := getattr(result, field.name)) is not None
    }
    return Message("result", {"number": result.number}, arrays)


def read_result(message: Message) -> StepResult:
    """The result in a message of the answering rank."""
    return StepResult(number=message.data["number"], **message.arrays)
